"""An `EventNetwork` laid out for a GPU: forward and backward pass of a whole chunk of time, written out by hand.

The equations are those of `sw_model.event_gru`, which is also what the tests hold this against. What differs is the shape of the work:

* Sizes are padded to multiples of 64, since rows of 1350 or 750 bf16 numbers are not aligned and make the matrix products slow. Padded
  neurons never fire and padded weights get no gradient, so they stay zero.
* The recurrence runs in kernels that cover several time steps per launch (`sw_model.triton_kernels`); everything that is not recurrent
  is a matrix product over many steps at once.
* The layers run side by side, each in its own lane (a CUDA stream), a chunk of time steps behind each other: forwards, layer l works on
  chunk k while layer l - 1 works on chunk k + 1; backwards the other way round. Decoder and input have lanes of their own.
* Weights, gradients and moments are one flat buffer each, so that the optimiser is one kernel.

All buffers are allocated once and the work does not depend on values, so a call can be captured as a CUDA graph.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from sw_model import triton_kernels as kernels
from sw_model.dropout import Dropout, DropoutMasks, Mask, MaskShapes
from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, LayerState
from sw_model.fixed_point import Formats, symmetric_limit
from sw_model.quantizers import DECODER_BIAS_BITS, LoopQuant, QuantizedArithmetic
from sw_model.stepper import STREAM_TILE

ALIGNMENT = 64
MAX_PROGRAM_STREAMS = 128
MAX_ROW_BLOCK = 256
#: Of the cross entropy, which holds a whole row of logits in registers: 32 a thread while there are warps.
CLASSES_PER_WARP = 1024
#: Of the shared memory of a multiprocessor, for the tiles of a scan; the rest is the compiler's.
SHARED_SHARE = 0.85


@dataclass(frozen=True)
class Tiles:
    """How the scans are cut; found by measurement, and no part of what is computed.

    Attributes:
        chunk: Time steps of a launch.
        width: Neurons of a program, a divisor of 64.
        depth: Depth of one matrix product, a divisor of 64.
        warps: Warps of a program.
        stages: Most tiles under way at once; fewer where the shared memory ends.
    """

    chunk: int = 10
    width: int = 32
    depth: int = 64
    warps: int = 8
    stages: int = 7


@dataclass(frozen=True)
class Precision:
    """Number types.

    Attributes:
        element: Of weights, event values and gradients in matrix products.
        sums: Of sums, state and master weights.
    """

    element: torch.dtype = torch.bfloat16
    sums: torch.dtype = torch.float32


def padded(size: int) -> int:
    """Return the next multiple of 64."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class _Lanes:
    """Streams of work that run side by side on a GPU; on a CPU everything runs in the order it is written.

    The first ``urgent`` lanes are served first: a scan that waits for a multiprocessor holds all of its programs up.
    """

    def __init__(self, count: int, urgent: int, device: torch.device) -> None:
        priorities = [-1] * urgent + [0] * (count - urgent) if device.type == "cuda" else []
        self._streams = [torch.cuda.Stream(device, priority) for priority in priorities]  # type: ignore[no-untyped-call]

    def on(self, lane: int) -> AbstractContextManager[object]:
        """Send what is launched inside to ``lane``."""
        return torch.cuda.stream(self._streams[lane]) if self._streams else nullcontext()

    def mark(self, lane: int) -> torch.cuda.Event | None:
        """Return an event that comes when ``lane`` has done all it was given so far."""
        return self._streams[lane].record_event() if self._streams else None

    def wait(self, lane: int, event: torch.cuda.Event | None) -> None:
        """Let ``lane`` wait for ``event``."""
        if event is not None:
            self._streams[lane].wait_event(event)

    @contextmanager
    def forked(self) -> Iterator[None]:
        """Begin all lanes after what was launched before, and go on when all of them are done."""
        if not self._streams:
            yield
            return
        main = torch.cuda.current_stream()
        start = main.record_event()
        for stream in self._streams:
            stream.wait_event(start)
        yield
        for stream in self._streams:
            main.wait_event(stream.record_event())


@dataclass
class _Layer:
    """Buffers of one layer; B streams, T steps, N padded neurons, I padded inputs. See `triton_kernels` for their meaning."""

    neurons: int
    size: int
    inputs: int
    recurrent: Tensor
    recurrent_t: Tensor
    weight: Tensor
    offsets: Tensor
    theta: Tensor
    sums: Tensor
    y: Tensor
    c: Tensor
    c_start: Tensor
    saved: Tensor
    c_hat: Tensor
    x_next: Tensor
    keep_next: Mask | None
    fired: Tensor
    grad_x: Tensor
    d_c: Tensor
    d_a: Tensor
    d_offsets: Tensor
    d_theta: Tensor


class FlatParameters:
    """All parameters of a network in one buffer: matrices first, since they decay, then the rest.

    Attributes:
        buffer: Shape (count,).
        decayed: How many of them belong to matrices.
        views: Padded views by the name that `EventNetwork.named_parameters` gives.
    """

    def __init__(self, network: EventNetwork, dtype: torch.dtype, device: torch.device) -> None:
        """Lay out zeros."""
        shapes = {name: _padded_shape(name, parameter) for name, parameter in network.named_parameters()}
        matrices = [name for name in shapes if name.endswith("weight") or name == "embedding"]
        # A layer's bias and reset bias stand side by side: the scan reads them as one (4, neurons) matrix.
        order = matrices + [name for name in shapes if name not in matrices]
        self.decayed = sum(math.prod(shapes[name]) for name in matrices)
        self.buffer = torch.zeros(sum(math.prod(shape) for shape in shapes.values()), dtype=dtype, device=device)
        self.views: dict[str, Tensor] = {}
        start = 0
        for name in order:
            size = math.prod(shapes[name])
            self.views[name] = self.buffer[start : start + size].view(shapes[name])
            start += size

    def offsets(self, layer: int) -> Tensor:
        """Return b_z, b_r, b_g, d of a layer, shape (4, neurons)."""
        bias = self.views[f"layers.{layer}.bias"]
        start = bias.storage_offset()
        return self.buffer[start : start + 4 * bias.shape[1]].view(4, -1)

    def copy_from(self, values: dict[str, Tensor]) -> None:
        """Take unpadded tensors by name."""
        for name, value in values.items():
            corner(self.views[name], value).copy_(value)

    def copy_to(self, values: dict[str, Tensor]) -> None:
        """Write to unpadded tensors by name."""
        for name, value in values.items():
            value.copy_(corner(self.views[name], value))


def _padded_shape(name: str, parameter: Tensor) -> tuple[int, ...]:
    # The first axis of W, R and b is the gate: it is no size.
    gates = 1 if parameter.ndim == 3 or name.endswith(".bias") else 0
    return (*parameter.shape[:gates], *(padded(size) for size in parameter.shape[gates:]))


def corner(view: Tensor, like: Tensor) -> Tensor:
    """Return the part of a padded tensor that ``like`` has the shape of."""
    return view[tuple(slice(size) for size in like.shape)]


class FusedNetwork:
    """Forward and backward pass over chunks of a fixed shape."""

    def __init__(
        self,
        network: EventNetwork,
        dropout: Dropout,
        *,
        streams: int,
        steps: int,
        device: torch.device,
        activity: tuple[float, float] | None = None,
        ranks: int = 1,
        precision: Precision | None = None,
        tiles: Tiles | None = None,
    ) -> None:
        """Allocate everything; the weights are zero until `load`.

        Args:
            network: Gives shape, surrogate and arithmetic; its exponents must be calibrated.
            dropout: What is dropped while training.
            streams: Streams of a chunk.
            steps: Time steps of a chunk.
            device: Where to compute.
            activity: Target density and weight of the pressure on it, or none.
            ranks: Processes that add their gradients.
            precision: Number types.
            tiles: How the scans are cut.

        Raises:
            UserError: When ``streams`` does not fit the kernels, or the formats exceed what the number types hold exactly.
        """
        self.config, self.dropout, self.device = network.config, dropout, device
        self.streams, self.steps, self.ranks, self.activity = streams, steps, ranks, activity
        self.precision, self.tiles = precision or Precision(), tiles or Tiles()
        self._arithmetic = network.arithmetic if isinstance(network.arithmetic, QuantizedArithmetic) else None
        self._formats = self._arithmetic.formats if self._arithmetic else Formats()
        self._check()
        self.weights = FlatParameters(network, self.precision.sums, device)
        self.grads = FlatParameters(network, self.precision.element, device)
        self.tokens = torch.zeros(steps + 1, streams, dtype=torch.int64, device=device)
        self.loss = torch.zeros((), dtype=self.precision.sums, device=device)
        self.density = torch.zeros((), dtype=self.precision.sums, device=device)
        sizes = tuple(padded(neurons) for neurons in self.config.hidden_sizes)
        shapes = MaskShapes(steps, padded(self.config.tokens), padded(self.config.embedding_size), sizes)
        self.masks = DropoutMasks.allocate(dropout, shapes, device)
        self._program_streams = math.gcd(streams, MAX_PROGRAM_STREAMS)
        self._groups = streams // self._program_streams
        self._chunks = [(start, min(start + self.tiles.chunk, steps)) for start in range(0, steps, self.tiles.chunk)]
        # After the layers' lanes: one for the decoder, one for the products at the first layer's input, which nothing recurrent waits for.
        self._decoder_lane, self._input_lane = len(sizes), len(sizes) + 1
        self._lanes = _Lanes(len(sizes) + 2, len(sizes), device)
        self._d_fired = self._zeros(())
        self._counters = torch.zeros(2, len(sizes), len(self._chunks), self._groups, dtype=torch.int32, device=device)
        self._tables = [self._table(function) for function in (self._formats.sigmoid_table, self._formats.tanh_table)]
        self.layers = [self._allocate_layer(index, sizes) for index in range(len(sizes))]
        self._allocate_ends(sizes)
        self._together = self._fits_together()

    # Allocation

    def _check(self) -> None:
        if self.config.channels:
            what = f"a network of {self.config.channels} channels of features"
            raise UserError(what, "does not fit the fused kernels, which read tokens only", "train it on the CPU")
        if self.streams % STREAM_TILE:
            above = -(-self.streams // STREAM_TILE) * STREAM_TILE
            raise UserError(f"streams={self.streams}", f"is not a multiple of {STREAM_TILE}", f"use {above}")
        formats = self._formats
        if self._arithmetic and self.precision.element == torch.bfloat16 and formats.event_bits > 8:
            raise UserError(
                f"event_bits={formats.event_bits}", "is more than the 8 that bf16 holds exactly", "use 8 or fewer, or train on the CPU"
            )
        widest = max(formats.gate_bits + formats.preact_bits + 2, formats.gate_bits + formats.state_bits + 2)
        if self._arithmetic and widest > 32:
            what = f"gate_bits={formats.gate_bits} with preact_bits={formats.preact_bits} and state_bits={formats.state_bits}"
            raise UserError(what, f"makes products of {widest} bits, more than 32", "lower one of them, or train on the CPU")

    def _zeros(self, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(shape, dtype=dtype or self.precision.sums, device=self.device)

    def _table(self, function: Callable[[], object]) -> Tensor:
        return torch.tensor(function(), dtype=torch.int32, device=self.device)

    def _allocate_layer(self, index: int, sizes: tuple[int, ...]) -> _Layer:
        element, n = self.precision.element, sizes[index]
        inputs = sizes[index - 1] if index else padded(self.config.embedding_size)
        shape = (self.steps, self.streams, n)
        last = index == len(sizes) - 1
        keep_next = self.masks.decoder if last else self.masks.between[index]
        y = self._zeros((self.steps + 1, self.streams, n), element)
        quantised = self._arithmetic is not None
        return _Layer(
            neurons=self.config.hidden_sizes[index],
            size=n,
            inputs=inputs,
            recurrent=self._zeros((3 * n, n), element),
            recurrent_t=self._zeros((n, 3 * n), element),
            weight=self._zeros((3 * n, inputs), element),
            offsets=self._zeros((4, n)) if quantised else self.weights.offsets(index),
            theta=self._zeros((n,)) if quantised else self.weights.views[f"layers.{index}.threshold"],
            sums=self._zeros((self.steps, self.streams, 3 * n)),
            y=y,
            c=self._zeros((self.streams, n)),
            c_start=self._zeros((self.streams, n)),
            saved=self._zeros((4, *shape), element),
            c_hat=self._zeros(shape),
            x_next=y[1:] if keep_next is None else self._zeros(shape, element),
            keep_next=keep_next,
            fired=self._zeros((self._groups, n)),
            grad_x=self._zeros(shape, element),
            d_c=self._zeros((self.streams, n)),
            d_a=self._zeros((self.steps, self.streams, 4 * n), element),
            d_offsets=self._zeros((self._groups, 4, n)),
            d_theta=self._zeros((self._groups, n)),
        )

    def _allocate_ends(self, sizes: tuple[int, ...]) -> None:
        element, places = self.precision.element, self.steps * self.streams
        features, classes = padded(self.config.embedding_size), padded(self.config.tokens)
        self._table_rows = self._zeros((classes, features), element)
        self._decoder = self._zeros((classes, sizes[-1]), element)
        self._decoder_bias = self._zeros((classes,))
        self._rows = self._zeros((places, features), element)
        self._d_rows = self._zeros((places, features), element)
        self._logits = self._zeros((places, classes), element)
        self._losses = self._zeros((places,))
        self._ordered, self._order = (self._zeros((places,), torch.int64) for _ in range(2))

    def _fits_together(self) -> bool:
        """Say whether the programs of all scans that may run at the same time can be on the GPU together, one to a multiprocessor."""
        if self.device.type != "cuda":
            return False
        programs = sum(layer.size // self.tiles.width for layer in self.layers) * self._groups
        return programs <= int(torch.cuda.get_device_properties(self.device).multi_processor_count)

    # Weights and state

    def load(self, network: EventNetwork) -> None:
        """Take the weights of ``network``."""
        self.weights.copy_from({name: parameter.detach() for name, parameter in network.named_parameters()})

    def store(self, network: EventNetwork) -> None:
        """Give the weights to ``network``."""
        with torch.no_grad():
            self.weights.copy_to(dict(network.named_parameters()))

    def state(self) -> list[LayerState]:
        """Return a copy of what is carried to the next chunk."""
        return [LayerState(x.c[:, : x.neurons].clone(), x.y[-1][:, : x.neurons].to(x.c.dtype)) for x in self.layers]

    def set_state(self, states: list[LayerState] | None) -> None:
        """Set what the next chunk begins with; zero when not given."""
        for index, layer in enumerate(self.layers):
            layer.c.zero_()
            layer.y[-1].zero_()
            if states is not None:
                layer.c[:, : layer.neurons].copy_(states[index].c)
                layer.y[-1][:, : layer.neurons].copy_(states[index].y)

    # One chunk

    @torch.no_grad()
    def run(self) -> None:
        """Compute loss and gradients of ``tokens`` under freshly drawn masks, and advance the state."""
        self._counters.zero_()
        lanes, decoder = self._lanes, self._decoder_lane
        with lanes.forked():
            for number, layer in enumerate(self.layers):
                with lanes.on(number):
                    self._prepare(number, layer)
            lanes.wait(self._input_lane, lanes.mark(0))
            with lanes.on(decoder):
                self._prepare_decoder()
            for index in range(len(self._chunks)):
                self._forward_chunk(index)
            decoded = lanes.mark(decoder)
            with lanes.on(decoder):
                self._finish_forward()
            # Without pressure on the activity nothing waits for the density.
            lanes.wait(decoder - 1, decoded if self.activity is None else lanes.mark(decoder))
            for index in reversed(range(len(self._chunks))):
                self._backward_chunk(index)
            self._weight_gradients()

    def _forward_chunk(self, index: int) -> None:
        span = self._chunks[index]
        for number, layer in enumerate(self.layers):
            with self._lanes.on(number if number else self._input_lane):
                if number:
                    self._lanes.wait(number, self._lanes.mark(number - 1))
                inputs = _flat(self.layers[number - 1].x_next, span) if number else self._look_up(span)
                _product(inputs, layer.weight.t(), _flat(layer.sums, span))
            if not number:
                self._lanes.wait(number, self._lanes.mark(self._input_lane))
            with self._lanes.on(number):
                self._scan_forward(number, layer, index)
        decoder = self._decoder_lane
        self._lanes.wait(decoder, self._lanes.mark(decoder - 1))
        with self._lanes.on(decoder):
            self._decode(span)

    def _look_up(self, span: tuple[int, int]) -> Tensor:
        places = _places(span, self.streams)
        rows = self._rows[places]
        features = rows.shape[1]
        block = math.gcd(features, MAX_ROW_BLOCK)
        word, keep = self.masks.word, self.masks.embedding
        kernels.gather_rows[(len(rows), features // block)](
            self._table_rows, self.tokens[:-1].reshape(-1)[places],
            word.keep if word else rows, keep.keep[span[0] :] if keep else rows, rows,
            self.streams, word.scale if word else 1.0, keep.scale if keep else 1.0,
            N=features, BN=block, DROP_WORD=word is not None, DROP=keep is not None,
        )  # fmt: skip
        return rows

    def _launches(self, index: int) -> list[tuple[int, int]]:
        """Return first step and number of steps of every launch of a chunk."""
        start, stop = self._chunks[index]
        return [(start, stop - start)] if self._together else [(t, 1) for t in range(start, stop)]

    def _stages(self, weights: int) -> int:
        """Return how many tiles fit the shared memory, when a tile holds one matrix of streams and ``weights`` of weights."""
        if self.device.type != "cuda":
            return 1
        tile = (self._program_streams + weights * self.tiles.width) * self.tiles.depth * self.precision.element.itemsize
        shared = int(torch.cuda.get_device_properties(self.device).shared_memory_per_block_optin)  # type: ignore[attr-defined]
        return max(1, min(self.tiles.stages, int(SHARED_SHARE * shared) // tile))

    def _scan_forward(self, number: int, layer: _Layer, index: int) -> None:
        tiles, formats, keep = self.tiles, self._formats, layer.keep_next
        for t0, span in self._launches(index):
            kernels.scan_forward[(layer.size // tiles.width, self._groups)](
                layer.sums, layer.recurrent, layer.offsets, layer.theta, layer.y, layer.c, layer.saved, layer.c_hat,
                layer.x_next, keep.keep if keep else layer.x_next, layer.fired, *self._tables, self._counters[0, number, index],
                t0, self.streams, self.steps, keep.scale if keep else 1.0,
                SPAN=span, N=layer.size, BM=self._program_streams, BN=tiles.width, BK=tiles.depth, FIRST=number == 0, DROP=keep is not None,
                QUANTISED=self._arithmetic is not None, PREACT_BITS=formats.preact_bits, PREACT_FRAC=formats.preact_frac,
                GATE_BITS=formats.gate_bits, STATE_FRAC=formats.state_frac, EVENT_BITS=formats.event_bits,
                num_warps=tiles.warps, num_stages=self._stages(3),
            )  # fmt: skip

    def _decode(self, span: tuple[int, int]) -> None:
        places = _places(span, self.streams)
        logits, last = self._logits[places], self.layers[-1]
        _product(_flat(last.x_next, span), self._decoder.t(), logits)
        width = logits.shape[1]
        block = triton.next_power_of_2(width)
        kernels.cross_entropy[(len(logits),)](
            logits, self._decoder_bias, self.tokens[1:].reshape(-1)[places], self._losses[places],
            self.config.tokens, width, 1.0 / (self.steps * self.streams * self.ranks), 
            BLOCK=block, num_warps=min(32, max(1, block // CLASSES_PER_WARP)),
        )  # fmt: skip
        _product(logits, self._decoder, _flat(last.grad_x, span))

    def _finish_forward(self) -> None:
        torch.mean(self._losses, dim=0, out=self.loss)
        neurons = sum(layer.neurons for layer in self.layers)
        sent = sum((layer.fired.sum() for layer in self.layers), self._zeros(()))
        self.density.copy_(sent / (neurons * self.steps * self.streams))
        if self.activity is not None:
            target, weight = self.activity
            share = weight / (neurons * self.steps * self.streams * self.ranks)
            self._d_fired.copy_(self.density > target).mul_(share)

    def _backward_chunk(self, index: int) -> None:
        span = self._chunks[index]
        for number in reversed(range(len(self.layers))):
            layer = self.layers[number]
            if number + 1 < len(self.layers):
                self._lanes.wait(number, self._lanes.mark(number + 1))
            with self._lanes.on(number):
                self._scan_backward(number, layer, index)
            if not number:
                self._lanes.wait(self._input_lane, self._lanes.mark(number))
            with self._lanes.on(number if number else self._input_lane):
                below = _flat(self.layers[number - 1].grad_x, span) if number else self._d_rows[_places(span, self.streams)]
                _product(_flat(layer.d_a, span)[:, : 3 * layer.size], layer.weight, below)

    def _scan_backward(self, number: int, layer: _Layer, index: int) -> None:
        tiles, formats, keep = self.tiles, self._formats, layer.keep_next
        for t0, span in reversed(self._launches(index)):
            kernels.scan_backward[(layer.size // tiles.width, self._groups)](
                layer.grad_x, keep.keep if keep else layer.grad_x, layer.recurrent_t, layer.theta, layer.c_start, layer.saved, layer.c_hat,
                layer.d_c, layer.d_a, layer.d_offsets, layer.d_theta, self._d_fired, self._counters[1, number, index],
                t0, self.streams, self.steps, keep.scale if keep else 1.0, self.config.surrogate_damp, self.config.surrogate_support,
                layer.neurons,
                SPAN=span, N=layer.size, BM=self._program_streams, BN=tiles.width, BK=tiles.depth, DROP=keep is not None,
                LEARN_THETA=self.config.learn_thresholds, QUANTISED=self._arithmetic is not None, STATE_FRAC=formats.state_frac,
                EVENT_BITS=formats.event_bits, num_warps=tiles.warps, num_stages=self._stages(1),
            )  # fmt: skip

    def _weight_gradients(self) -> None:
        decoder, grads = self._decoder_lane, self.grads.views
        tied = self.config.tied_decoder
        with self._lanes.on(decoder):
            last = self.layers[-1]
            _product(self._logits.t(), _flat(last.x_next), grads["embedding" if tied else "decoder_weight"])
            torch.sum(self._logits, dim=0, out=grads["decoder_bias"])
            if not tied:
                grads["embedding"].zero_()
        # The embedding's gradients are added up beside the first layer's matrix products, which end last.
        self._lanes.wait(decoder, self._lanes.mark(self._input_lane))
        with self._lanes.on(decoder):
            self._scatter()
        for number, layer in enumerate(self.layers):
            with self._lanes.on(number):
                n, d_a = layer.size, _flat(layer.d_a)
                recurrent = grads[f"layers.{number}.recurrent_weight"].view(3 * n, n)
                mask = self.masks.recurrent[number]
                torch.addmm(recurrent, d_a[:, n:].t(), _flat(layer.y[:-1]), beta=0.0, alpha=mask.scale if mask else 1.0, out=recurrent)
                if mask is not None:
                    recurrent.mul_(mask.keep.view(recurrent.shape))
                inputs = _flat(self.layers[number - 1].x_next) if number else self._rows
                weight = grads[f"layers.{number}.weight" if number else "input_weight"].view(3 * n, -1)
                # W's gradients come in the order g, z, r.
                _product(d_a[:, n : 3 * n].t(), inputs, weight[: 2 * n])
                _product(d_a[:, :n].t(), inputs, weight[2 * n :])
                self.grads.offsets(number).copy_(layer.d_offsets.sum(dim=0))
                grads[f"layers.{number}.threshold"].copy_(layer.d_theta.sum(dim=0))

    def _scatter(self) -> None:
        ordered, order = self._ordered, self._order
        features = self._d_rows.shape[1]
        block = math.gcd(features, MAX_ROW_BLOCK)
        word, keep = self.masks.word, self.masks.embedding
        kernels.scatter_rows[(len(order), features // block)](
            self._d_rows, order, ordered, word.keep if word else order, keep.keep if keep else order, self.grads.views["embedding"],
            len(order), self.streams, word.scale if word else 1.0, keep.scale if keep else 1.0,
            N=features, BN=block, BR=16, DROP_WORD=word is not None, DROP=keep is not None,
        )  # fmt: skip

    # Weights as the products use them

    def _prepare(self, number: int, layer: _Layer) -> None:
        """Draw a layer's masks, cast its weights, and begin with the state and sums of a new chunk."""
        mask, below = self.masks.recurrent[number], self.masks.between[number - 1] if number else self.masks.embedding
        for drawn in (mask, below) if number else (self.masks.word, mask, below):
            if drawn is not None:
                drawn.draw()
        layer.c_start.copy_(layer.c)
        layer.y[0].copy_(layer.y[-1])
        for accumulator in (layer.fired, layer.d_c, layer.d_offsets, layer.d_theta):
            accumulator.zero_()
        views, group = self.weights.views, f"layers.{number}"
        if number == 0:
            self._cast_matrix(views["embedding"], "embedding", self._table_rows)
        self._cast_matrix(views[f"{group}.recurrent_weight"], group, layer.recurrent, layer.recurrent_t, mask=mask)
        # W's gates in the order g, z, r: with R's z, r, g they overlap in one buffer of gradients.
        self._cast_matrix(
            views[f"{group}.weight" if number else "input_weight"], group if number else "input", layer.weight, shift=layer.size
        )
        if self._arithmetic is not None:
            layer.offsets.copy_(self._arithmetic.preactivation(self.weights.offsets(number)))
            threshold = LoopQuant(self._formats.state_frac, self._formats.state_frac, signed=False)
            layer.theta.copy_(threshold(views[f"{group}.threshold"]))

    def _prepare_decoder(self) -> None:
        if self.masks.decoder is not None:
            self.masks.decoder.draw()
        views = self.weights.views
        self._cast_matrix(views["embedding" if self.config.tied_decoder else "decoder_weight"], "decoder", self._decoder)
        bias = views["decoder_bias"]
        if self._arithmetic is not None:
            bias = LoopQuant(DECODER_BIAS_BITS, self._arithmetic.weights["decoder"].frac + self._formats.event_bits)(bias)
        self._decoder_bias.copy_(bias)
        torch.sort(self.tokens[:-1].reshape(-1), stable=True, out=(self._ordered, self._order))

    def _cast_matrix(
        self, master: Tensor, group: str, out: Tensor, out_t: Tensor | None = None, *, shift: int = 0, mask: Mask | None = None
    ) -> None:
        rows, cols = out.shape
        quant = self._arithmetic.weights[group] if self._arithmetic else None
        step = 2.0**quant.frac if quant else 1.0
        block = ALIGNMENT
        kernels.cast_weights[(rows // block, cols // block)](
            master, mask.keep if mask else out, out, out if out_t is None else out_t, rows, cols, shift, mask.scale if mask else 1.0,
            step, 1.0 / step, float(symmetric_limit(quant.bits)) if quant else 0.0,
            DROP=mask is not None, TRANSPOSE=out_t is not None, QUANTISED=quant is not None, BR=block, BC=block,
        )  # fmt: skip


def _places(span: tuple[int, int], streams: int) -> slice:
    return slice(span[0] * streams, span[1] * streams)


def _flat(x: Tensor, span: tuple[int, int] | None = None) -> Tensor:
    """View (steps, streams, n) as (places, n), of some steps or all."""
    return (x if span is None else x[span[0] : span[1]]).flatten(0, 1)


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Write a @ b to ``out``, whose type may be wider than that of the factors."""
    if out.dtype == a.dtype:
        torch.mm(a, b, out=out)
    elif a.is_cuda:
        torch.mm(a, b, out_dtype=out.dtype, out=out)
    else:
        torch.mm(a.to(out.dtype), b.to(out.dtype), out=out)
