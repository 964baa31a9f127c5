"""Gradient of an EGRU layer over a chunk of time, by hand.

Plain autograd records some thirty nodes per time step and accumulates the gradient of R step by step. Here the same forward loop runs
without a tape; the backward loop does a score of operations per step, and the gradient of R is one product for the whole chunk.
`tests/sw_model/test_scan_gradient.py` holds it against plain autograd through the same equations.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd import Function

if TYPE_CHECKING:
    from sw_model.event_gru import LayerState, Scan, Trace

    RunScan = Callable[[Scan, LayerState], list[Trace]]


@dataclass(frozen=True)
class Surrogate:
    """Stands in for the derivative of the event step: damp * max(0, 1 - support * |v|)."""

    damp: float
    support: float

    def slope(self, v: Tensor) -> Tensor:
        """Return the surrogate derivative at ``v`` = ĉ − θ, same shape."""
        return (1.0 - self.support * v.abs()).clamp_(min=0.0) * self.damp


class _StrictStep(Function):
    """1 where v > 0, else 0 (so v = 0 is no event), with the surrogate's gradient."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(v)
        ctx.surrogate = surrogate
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.slope(v), None


def strict_step(v: Tensor, surrogate: Surrogate) -> Tensor:
    """Return 1 where ``v`` > 0, else 0, same shape and type; differentiable through ``surrogate``."""
    if not torch.is_grad_enabled():
        return (v > 0).to(v.dtype)
    result: Tensor = _StrictStep.apply(v, surrogate)  # type: ignore[no-untyped-call]
    return result


class _ScanGradient(Function):
    @staticmethod
    def forward(ctx: Any, run_scan: "RunScan", scan: "Scan", state: "LayerState", *inputs: Tensor | None) -> tuple[Tensor, ...]:
        trace = run_scan(scan, state)
        y, fired = torch.stack([step.y for step in trace]), torch.stack([step.fired for step in trace])
        c = trace[-1].c
        ctx.scan, ctx.state, ctx.trace = scan, state, trace
        ctx.mark_non_differentiable(c)
        ctx.set_materialize_grads(False)
        return y, fired, c

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        grad_y, grad_fired, _ = grads
        trace, scan, state = ctx.trace, ctx.scan, ctx.state
        steps, (streams, neurons) = len(trace), state.c.shape
        theta, recurrent = scan.threshold.detach(), scan.recurrent.detach().t().contiguous()
        d_a = state.c.new_empty(steps, streams, 3 * neurons)
        d_candidate = state.c.new_empty(steps, streams, neurons)
        d_theta = torch.zeros_like(theta) if ctx.needs_input_grad[-1] else None
        d_y = torch.zeros_like(state.c) if grad_y is None else grad_y[-1]
        d_c = torch.zeros_like(state.c)
        for t in range(steps - 1, -1, -1):
            at = trace[t]
            c_before = trace[t - 1].c if t else state.c
            z, r = at.gates[:, :neurons], at.gates[:, neurons:]
            slope = scan.surrogate.slope(at.c_hat - theta)
            # y = event(ĉ) fired and c = ĉ − θ fired; rounding passes the gradient straight through
            d_fired = (d_y * scan.arithmetic.event(at.c_hat)).addcmul_(d_c, theta, value=-1.0)
            if grad_fired is not None:
                d_fired += grad_fired[t]
            d_c_hat = torch.addcmul(d_c, d_y, at.fired).addcmul_(d_fired, slope)
            if d_theta is not None:
                d_theta -= torch.addcmul(d_c * at.fired, d_fired, slope).sum(dim=0)
            # ĉ = g + z (c⁻ − g)
            d_c = d_c_hat * z
            d_g = torch.ops.aten.tanh_backward(d_c_hat - d_c, at.g)
            d_candidate[t] = d_g
            d_gates = torch.cat([d_c_hat * (c_before - at.g), d_g * at.a_reset], dim=1)
            d_a[t, :, : 2 * neurons] = torch.ops.aten.sigmoid_backward(d_gates, at.gates)
            torch.mul(d_g, r, out=d_a[t, :, 2 * neurons :])
            if t and grad_y is not None:
                d_y = torch.addmm(grad_y[t - 1], d_a[t], recurrent)
            elif t:
                d_y = d_a[t] @ recurrent
        y_before = torch.cat([state.y, *(step.y for step in trace[:-1])])
        d_recurrent = y_before.t() @ d_a.flatten(0, 1)
        d_offset = d_a if scan.offset.ndim == 3 else d_a.sum(dim=(0, 1))
        d_sums = None if scan.input_sums is None else d_a[..., : 2 * neurons]
        return None, None, None, d_sums, d_offset, d_candidate, d_recurrent, d_theta


def scan_with_gradient(run_scan: "RunScan", scan: "Scan", state: "LayerState") -> tuple[Tensor, Tensor, "LayerState"]:
    """Run one layer over a chunk of time with a hand-written gradient.

    Args:
        run_scan: The loop, `sw_model.event_gru.run_scan`.
        scan: The layer; its tensors receive gradients.
        state: State before the chunk; receives none.

    Returns:
        Event values and 0/1 event flags, shape (steps, streams, neurons), and the state after the chunk without gradient.
    """
    y, fired, c = _ScanGradient.apply(  # type: ignore[no-untyped-call]
        run_scan, scan, state, scan.input_sums, scan.offset, scan.candidate_input, scan.recurrent, scan.threshold
    )
    return y, fired, replace(state, c=c.detach(), y=y[-1].detach())
