"""Triton kernels of the fused trainer: the equations of `sw_model.event_gru` and `sw_model.scan_gradient`, several time steps per launch.

A launch of a scan covers ``t0 <= t < t1``. Each program owns ``BN`` neurons of ``BM`` streams through all of these steps, and the programs
of one group of streams meet after every step at a barrier in global memory, since each reads all event values of the step before. They
must therefore all run at once; `sw_model.fused_network` keeps to one step per launch where they would not.

Every kernel is generic in its element type. In training that is bf16 with fp32 sums and state; in float64, run by Triton's interpreter on
a CPU, the same code is held against plain autograd. With ``QUANTISED`` the update is the integer arithmetic of docs/semantics.md, so the
forward pass equals `sw_model.reference` event for event as long as the sums stay below 2**24 (below 2**53 in float64).

A value of ``x`` in reals with f fraction bits stands here for the integer x * 2**f; scaling by powers of two is exact.
"""

import triton
import triton.language as tl


@triton.jit
def _round_half_up(x: tl.tensor) -> tl.tensor:
    return tl.floor(x + 0.5)


@triton.jit
def _preactivation(x: tl.tensor, STEP: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr) -> tl.tensor:
    """Round and saturate reals to integers of the pre-activation format."""
    return tl.minimum(tl.maximum(_round_half_up(x * STEP), LOW), HIGH)


@triton.jit
def _rescale(v: tl.tensor, SHIFT: tl.constexpr) -> tl.tensor:
    """Take ``SHIFT`` fraction bits from integers, rounding half up, or add them when it is negative."""
    if SHIFT > 0:
        v = (v + (1 << (SHIFT - 1))) >> SHIFT
    if SHIFT < 0:
        v = v << (-SHIFT)
    return v


@triton.jit
def _address(v: tl.tensor, SHIFT: tl.constexpr) -> tl.tensor:
    """Turn an integer with ``SHIFT`` more fraction bits than a table's address into an address."""
    return tl.minimum(tl.maximum(_rescale(v, SHIFT) + 512, 0), 1023)


@triton.jit
def _sigmoid(x: tl.tensor) -> tl.tensor:
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _tanh(x: tl.tensor) -> tl.tensor:
    # exp of a negative argument only: no overflow at either end.
    e = tl.exp(-2.0 * tl.abs(x))
    magnitude = (1.0 - e) / (1.0 + e)
    return tl.where(x < 0, -magnitude, magnitude)


@triton.jit
def _arrive(counter: tl.tensor) -> None:
    """Tell the other programs of the group that what this one stored can be read; first half of a barrier over the grid."""
    tl.debug_barrier()
    tl.atomic_add(counter, 1, sem="release", scope="gpu")


@triton.jit
def _wait(counter: tl.tensor, target: tl.tensor) -> None:
    """Wait until ``target`` programs have arrived; second half."""
    count = tl.atomic_add(counter, 0, sem="acquire", scope="gpu")
    while count < target:
        count = tl.atomic_add(counter, 0, sem="acquire", scope="gpu")
    tl.debug_barrier()


@triton.jit(do_not_specialize=["t0"])
def scan_forward(
    sums: tl.tensor,
    recurrent: tl.tensor,
    offsets: tl.tensor,
    theta: tl.tensor,
    y: tl.tensor,
    c: tl.tensor,
    saved: tl.tensor,
    c_hat_out: tl.tensor,
    x_next: tl.tensor,
    keep_next: tl.tensor,
    fired_counts: tl.tensor,
    sigmoid_table: tl.tensor,
    tanh_table: tl.tensor,
    counter: tl.tensor,
    t0: tl.tensor,
    batch: tl.tensor,
    steps: tl.tensor,
    keep_scale: tl.tensor,
    SPAN: tl.constexpr,
    N: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    FIRST: tl.constexpr,
    DROP: tl.constexpr,
    QUANTISED: tl.constexpr,
    PREACT_BITS: tl.constexpr,
    PREACT_FRAC: tl.constexpr,
    GATE_BITS: tl.constexpr,
    STATE_FRAC: tl.constexpr,
    EVENT_BITS: tl.constexpr,
) -> None:
    """Compute one layer for ``SPAN`` steps from ``t0``; below, t1 = t0 + SPAN.

    Args:
        sums: W x in the gate order g, z, r; shape (steps, batch, 3 N), type of the sums.
        recurrent: R in the gate order z, r, g; shape (3 N, N), element type.
        offsets: b_z, b_r, b_g, d; shape (4, N), type of the sums.
        theta: Shape (N,), type of the sums.
        y: Event values, slot t before step t; shape (steps + 1, batch, N), element type. Slots t0 + 1 to t1 are written.
        c: State, read at t0 and written after the last step; shape (batch, N), type of the sums.
        saved: z, r, R_g y + d, g for the backward pass; shape (4, steps, batch, N), element type.
        c_hat_out: ĉ; shape (steps, batch, N), type of the sums.
        x_next: Event values times the dropout of what reads them; shape (steps, batch, N). Not touched without ``DROP``.
        keep_next: That dropout's mask; bool, shape (steps, N).
        fired_counts: Events sent, added to; shape (batch / BM, N), type of the sums.
        sigmoid_table: 1024 int32; read with ``QUANTISED``.
        tanh_table: The same.
        counter: int32, shape (batch / BM,), zero before a launch of more than one step.
        t0: First step.
        batch: Streams.
        steps: Steps that the buffers hold.
        keep_scale: Factor of what dropout keeps.
        SPAN: Steps of this launch, t1 - t0.
        N: Neurons, padded to a multiple of BN and BK.
        BM: Streams of a program.
        BN: Neurons of a program.
        BK: Depth of one matrix product.
        FIRST: Layer 0, whose input is rounded and saturated by itself (docs/semantics.md, section 5).
        DROP: Whether ``x_next`` is written.
        QUANTISED: Integer arithmetic; the five widths below are those of `fixed_point.Formats`.
        PREACT_BITS: See above.
        PREACT_FRAC: See above.
        GATE_BITS: See above.
        STATE_FRAC: See above.
        EVENT_BITS: See above.
    """
    rows = tl.program_id(1) * BM + tl.arange(0, BM)
    cols = tl.program_id(0) * BN + tl.arange(0, BN)
    depth = tl.arange(0, BK)
    cell = rows[:, None] * N + cols[None, :]
    sum_cell = rows[:, None] * (3 * N) + cols[None, :]
    plane = batch * N
    kind = c.dtype.element_ty
    state = tl.load(c + cell)
    limit = tl.load(theta + cols)
    b_z = tl.load(offsets + cols)
    b_r = tl.load(offsets + N + cols)
    b_g = tl.load(offsets + 2 * N + cols)
    d = tl.load(offsets + 3 * N + cols)
    fired_sum = tl.zeros((BN,), kind)
    for i in range(SPAN):
        t = t0 + i
        # Asked for before the products, so that they are there when these end.
        x_row = sums + t * (3 * plane) + sum_cell
        x_g = tl.load(x_row)
        x_z = tl.load(x_row + N)
        x_r = tl.load(x_row + 2 * N)
        z_sum = tl.zeros((BM, BN), kind)
        r_sum = tl.zeros((BM, BN), kind)
        g_sum = tl.zeros((BM, BN), kind)
        y_row = y + t * plane + rows[:, None] * N
        for k in range(0, N, BK):
            # Other programs wrote these values in this very launch: past the first-level cache, which nobody keeps coherent.
            y_tile = tl.load(y_row + (k + depth)[None, :], cache_modifier=".cg")
            weight = recurrent + cols[:, None] * N + (k + depth)[None, :]
            z_sum = tl.dot(y_tile, tl.trans(tl.load(weight)), z_sum, out_dtype=kind)
            r_sum = tl.dot(y_tile, tl.trans(tl.load(weight + N * N)), r_sum, out_dtype=kind)
            g_sum = tl.dot(y_tile, tl.trans(tl.load(weight + 2 * N * N)), g_sum, out_dtype=kind)
        if QUANTISED:
            STEP: tl.constexpr = 2.0**PREACT_FRAC
            LOW: tl.constexpr = -(2.0 ** (PREACT_BITS - 1))
            HIGH: tl.constexpr = 2.0 ** (PREACT_BITS - 1) - 1.0
            # Divisions by powers of two are written as products: the GPU's fast division may be off by one.
            STEP_SIZE: tl.constexpr = 2.0 ** (-PREACT_FRAC)
            GATE_SIZE: tl.constexpr = 2.0 ** (-GATE_BITS)
            STATE: tl.constexpr = 2.0**STATE_FRAC
            STATE_SIZE: tl.constexpr = 2.0 ** (-STATE_FRAC)
            if FIRST:
                p_z = tl.minimum(tl.maximum(_preactivation(x_z, STEP, LOW, HIGH) + b_z * STEP, LOW), HIGH)
                p_r = tl.minimum(tl.maximum(_preactivation(x_r, STEP, LOW, HIGH) + b_r * STEP, LOW), HIGH)
                p_g = tl.minimum(tl.maximum(_preactivation(x_g, STEP, LOW, HIGH) + b_g * STEP, LOW), HIGH)
                a_z = _preactivation(z_sum, STEP, LOW, HIGH) + p_z
                a_r = _preactivation(r_sum, STEP, LOW, HIGH) + p_r
            else:
                a_z = _preactivation(z_sum + x_z, STEP, LOW, HIGH) + b_z * STEP
                a_r = _preactivation(r_sum + x_r, STEP, LOW, HIGH) + b_r * STEP
                p_g = _preactivation(x_g, STEP, LOW, HIGH) + b_g * STEP
            a_reset_int = (_preactivation(g_sum, STEP, LOW, HIGH) + d * STEP).to(tl.int32)
            z_int = tl.load(sigmoid_table + _address(a_z.to(tl.int32), PREACT_FRAC - 6))
            r_int = tl.load(sigmoid_table + _address(a_r.to(tl.int32), PREACT_FRAC - 6))
            a_g = (p_g.to(tl.int32) << GATE_BITS) + r_int * a_reset_int
            g_int = tl.load(tanh_table + _address(a_g, PREACT_FRAC + GATE_BITS - 7))
            candidate = g_int << (STATE_FRAC - GATE_BITS)
            c_hat_int = candidate + _rescale(z_int * ((state * STATE).to(tl.int32) - candidate), GATE_BITS)
            event_int = tl.minimum(_rescale(c_hat_int, STATE_FRAC - EVENT_BITS), (1 << EVENT_BITS) - 1)
            z = z_int.to(kind) * GATE_SIZE
            r = r_int.to(kind) * GATE_SIZE
            g = g_int.to(kind) * GATE_SIZE
            a_reset = a_reset_int.to(kind) * STEP_SIZE
            c_hat = c_hat_int.to(kind) * STATE_SIZE
            value = event_int.to(kind) * (2.0 ** (-EVENT_BITS))
        else:
            z = _sigmoid(z_sum + x_z + b_z)
            r = _sigmoid(r_sum + x_r + b_r)
            a_reset = g_sum + d
            g = _tanh(x_g + b_g + r * a_reset)
            c_hat = g + z * (state - g)
            value = c_hat
        fired = c_hat > limit
        value = tl.where(fired, value, 0.0)
        state = tl.where(fired, c_hat - limit, c_hat)
        fired_sum += tl.sum(fired.to(kind), axis=0)
        out = t * plane + cell
        tl.store(y + plane + out, value)
        if i + 1 < SPAN:
            _arrive(counter + tl.program_id(1))
        # What no other program of this launch reads is stored while they arrive.
        tl.store(c_hat_out + out, c_hat)
        tl.store(saved + out, z)
        tl.store(saved + steps * plane + out, r)
        tl.store(saved + 2 * steps * plane + out, a_reset)
        tl.store(saved + 3 * steps * plane + out, g)
        if DROP:
            keep = tl.load(keep_next + t * N + cols).to(kind) * keep_scale
            tl.store(x_next + out, value * keep[None, :])
        if i + 1 < SPAN:
            _wait(counter + tl.program_id(1), tl.num_programs(0) * (i + 1))
    tl.store(c + cell, state)
    counts = fired_counts + tl.program_id(1) * N + cols
    tl.store(counts, tl.load(counts) + fired_sum)


@triton.jit(do_not_specialize=["t0"])
def scan_backward(
    grad_x: tl.tensor,
    keep_next: tl.tensor,
    recurrent_t: tl.tensor,
    theta: tl.tensor,
    c_start: tl.tensor,
    saved: tl.tensor,
    c_hat_in: tl.tensor,
    d_c_carry: tl.tensor,
    d_a: tl.tensor,
    d_offsets: tl.tensor,
    d_theta: tl.tensor,
    d_fired: tl.tensor,
    counter: tl.tensor,
    t0: tl.tensor,
    batch: tl.tensor,
    steps: tl.tensor,
    keep_scale: tl.tensor,
    damp: tl.tensor,
    support: tl.tensor,
    neurons: tl.tensor,
    SPAN: tl.constexpr,
    N: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    DROP: tl.constexpr,
    LEARN_THETA: tl.constexpr,
    QUANTISED: tl.constexpr,
    STATE_FRAC: tl.constexpr,
    EVENT_BITS: tl.constexpr,
) -> None:
    """Compute the gradient of one layer for steps t1 - 1 down to ``t0``, where t1 = t0 + SPAN.

    Args:
        grad_x: Gradient of what the next layer reads; shape (steps, batch, N), element type.
        keep_next: Its dropout mask, as in `scan_forward`; read with ``DROP``.
        recurrent_t: R transposed, gate order z, r, g; shape (N, 3 N), element type.
        theta: Shape (N,).
        c_start: State before step 0; shape (batch, N).
        saved: As `scan_forward` wrote it.
        c_hat_in: As `scan_forward` wrote it.
        d_c_carry: Gradient of the state after step t1 - 1, replaced by that before ``t0``; shape (batch, N).
        d_a: Gradients in the order W_g x, z, r, R_g y; shape (steps, batch, 4 N), element type. Slot t1 is read unless t1 = steps.
        d_offsets: Gradients of b_z, b_r, b_g, d, added to; shape (batch / BM, 4, N).
        d_theta: Gradient of θ, added to; shape (batch / BM, N); with ``LEARN_THETA``.
        d_fired: One number, what every event flag receives beside its value's gradient (pressure on the activity).
        counter: See `scan_forward`.
        t0: First step.
        batch: Streams.
        steps: Steps that the buffers hold.
        keep_scale: Factor of what dropout keeps.
        damp: Height of the surrogate.
        support: Steepness of the surrogate.
        neurons: Neurons that are no padding.
        SPAN: As in `scan_forward`, and all below.
        N: See above.
        BM: See above.
        BN: See above.
        BK: See above.
        DROP: See above.
        LEARN_THETA: Whether θ is trained.
        QUANTISED: See above.
        STATE_FRAC: See above.
        EVENT_BITS: See above.
    """
    rows = tl.program_id(1) * BM + tl.arange(0, BM)
    cols = tl.program_id(0) * BN + tl.arange(0, BN)
    depth = tl.arange(0, BK)
    cell = rows[:, None] * N + cols[None, :]
    plane = batch * N
    kind = c_start.dtype.element_ty
    limit = tl.load(theta + cols)
    pressure = tl.where(cols < neurons, tl.load(d_fired), 0.0)
    d_c = tl.load(d_c_carry + cell)
    sum_z = tl.zeros((BN,), kind)
    sum_r = tl.zeros((BN,), kind)
    sum_g = tl.zeros((BN,), kind)
    sum_d = tl.zeros((BN,), kind)
    sum_theta = tl.zeros((BN,), kind)
    for i in range(SPAN):
        t = t0 + SPAN - 1 - i
        at = t * plane + cell
        # Asked for before the products, so that they are there when these end.
        d_y = tl.load(grad_x + at).to(kind)
        z = tl.load(saved + at).to(kind)
        r = tl.load(saved + steps * plane + at).to(kind)
        a_reset = tl.load(saved + 2 * steps * plane + at).to(kind)
        g = tl.load(saved + 3 * steps * plane + at).to(kind)
        c_hat = tl.load(c_hat_in + at)
        if t > 0:
            before = tl.load(c_hat_in + at - plane)
            before = tl.where(before > limit, before - limit, before)
        else:
            before = tl.load(c_start + cell)
        if DROP:
            d_y = d_y * (tl.load(keep_next + t * N + cols).to(kind) * keep_scale)[None, :]
        if t + 1 < steps:
            a_row = d_a + (t + 1) * (4 * plane) + rows[:, None] * (4 * N) + N
            w_row = recurrent_t + cols[:, None] * (3 * N)
            for k in range(0, 3 * N, BK):
                # As in the forward scan: written by other programs of this launch.
                a_tile = tl.load(a_row + (k + depth)[None, :], cache_modifier=".cg")
                w_tile = tl.load(w_row + (k + depth)[None, :])
                d_y = tl.dot(a_tile, tl.trans(w_tile), d_y, out_dtype=kind)
        fired = c_hat > limit
        slope = tl.maximum(1.0 - support * tl.abs(c_hat - limit), 0.0) * damp
        if QUANTISED:
            value = _round_half_up(c_hat * (2.0**EVENT_BITS))
            value = tl.minimum(tl.maximum(value, 0.0), 2.0**EVENT_BITS - 1.0) * (2.0 ** (-EVENT_BITS))
        else:
            value = c_hat
        # y = event(ĉ) fired and c = ĉ − θ fired; rounding passes the gradient straight through
        through_step = (d_y * value - d_c * limit + pressure) * slope
        if LEARN_THETA:
            sum_theta -= tl.sum(tl.where(fired, d_c, 0.0) + through_step, axis=0)
        d_c_hat = d_c + tl.where(fired, d_y, 0.0) + through_step
        # ĉ = g + z (c⁻ − g)
        d_c = d_c_hat * z
        d_g = (d_c_hat - d_c) * (1.0 - g * g)
        d_z = d_c_hat * (before - g) * z * (1.0 - z)
        d_r = d_g * a_reset * r * (1.0 - r)
        d_gr = d_g * r
        out = d_a + t * (4 * plane) + rows[:, None] * (4 * N) + cols[None, :]
        tl.store(out + N, d_z)
        tl.store(out + 2 * N, d_r)
        tl.store(out + 3 * N, d_gr)
        if i + 1 < SPAN:
            _arrive(counter + tl.program_id(1))
        # What no other program of this launch reads waits until they have been told.
        tl.store(out, d_g)
        sum_z += tl.sum(d_z, axis=0)
        sum_r += tl.sum(d_r, axis=0)
        sum_g += tl.sum(d_g, axis=0)
        sum_d += tl.sum(d_gr, axis=0)
        if i + 1 < SPAN:
            _wait(counter + tl.program_id(1), tl.num_programs(0) * (i + 1))
    tl.store(d_c_carry + cell, d_c)
    base = d_offsets + tl.program_id(1) * (4 * N) + cols
    tl.store(base, tl.load(base) + sum_z)
    tl.store(base + N, tl.load(base + N) + sum_r)
    tl.store(base + 2 * N, tl.load(base + 2 * N) + sum_g)
    tl.store(base + 3 * N, tl.load(base + 3 * N) + sum_d)
    if LEARN_THETA:
        theta_sum = d_theta + tl.program_id(1) * N + cols
        tl.store(theta_sum, tl.load(theta_sum) + sum_theta)


@triton.jit
def gather_rows(
    table: tl.tensor,
    tokens: tl.tensor,
    keep_word: tl.tensor,
    keep: tl.tensor,
    out: tl.tensor,
    batch: tl.tensor,
    word_scale: tl.tensor,
    scale: tl.tensor,
    N: tl.constexpr,
    BN: tl.constexpr,
    DROP_WORD: tl.constexpr,
    DROP: tl.constexpr,
) -> None:
    """Look embedding rows up and apply both dropouts.

    Args:
        table: Shape (tokens, N), element type.
        tokens: int64, shape (places,), streams innermost.
        keep_word: bool, shape (tokens,).
        keep: bool, shape (steps, N).
        out: Shape (places, N), element type.
        batch: Streams.
        word_scale: Factor of rows that are kept.
        scale: Factor of features that are kept.
        N: Features, a multiple of BN.
        BN: Features of a program.
        DROP_WORD: Whether ``keep_word`` is read.
        DROP: Whether ``keep`` is read.
    """
    place = tl.program_id(0)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    token = tl.load(tokens + place)
    row = tl.load(table + token * N + cols)
    if DROP_WORD:
        row = row * (tl.load(keep_word + token).to(tl.float32) * word_scale)
    if DROP:
        row = row * (tl.load(keep + (place // batch) * N + cols).to(tl.float32) * scale)
    tl.store(out + place * N + cols, row)


@triton.jit
def scatter_rows(
    d_rows: tl.tensor,
    order: tl.tensor,
    ordered: tl.tensor,
    keep_word: tl.tensor,
    keep: tl.tensor,
    d_table: tl.tensor,
    places: tl.tensor,
    batch: tl.tensor,
    word_scale: tl.tensor,
    scale: tl.tensor,
    N: tl.constexpr,
    BN: tl.constexpr,
    BR: tl.constexpr,
    DROP_WORD: tl.constexpr,
    DROP: tl.constexpr,
) -> None:
    """Add the gradient of `gather_rows` to the table, always in the same order.

    Args:
        d_rows: Shape (places, N), element type.
        order: int64, the places sorted by token, shape (places,).
        ordered: int64, their tokens, same shape.
        keep_word: See `gather_rows`.
        keep: See `gather_rows`.
        d_table: Shape (tokens, N), element type; added to.
        places: Tokens looked up.
        batch: Streams.
        word_scale: See `gather_rows`.
        scale: See `gather_rows`.
        N: Features.
        BN: Features of a program.
        BR: Places that are read at once.
        DROP_WORD: See `gather_rows`.
        DROP: See `gather_rows`.
    """
    first = tl.program_id(0)
    token = tl.load(ordered + first)
    before = tl.load(ordered + tl.maximum(first - 1, 0))
    # The program of a token's first place adds all of its places up; the others have nothing to do.
    if (first == 0) | (before != token):
        cols = tl.program_id(1) * BN + tl.arange(0, BN)
        kind = tl.float64 if d_table.dtype.element_ty == tl.float64 else tl.float32
        total = tl.zeros((BN,), kind)
        base = first
        more = base < places
        while more:
            at = base + tl.arange(0, BR)
            mine = tl.load(ordered + at, mask=at < places, other=-1) == token
            place = tl.load(order + at, mask=mine, other=0)
            rows = tl.load(d_rows + place[:, None] * N + cols[None, :], mask=mine[:, None], other=0.0).to(kind)
            if DROP:
                kept = tl.load(keep + (place // batch)[:, None] * N + cols[None, :], mask=mine[:, None], other=0)
                rows = rows * (kept.to(kind) * scale)
            total += tl.sum(rows, axis=0)
            base += BR
            more = base < places
            if more:
                more = tl.load(ordered + base) == token
        if DROP_WORD:
            total = total * (tl.load(keep_word + token).to(kind) * word_scale)
        out = d_table + token * N + cols
        tl.store(out, tl.load(out).to(kind) + total)


@triton.jit
def cross_entropy(
    logits: tl.tensor,
    bias: tl.tensor,
    targets: tl.tensor,
    losses: tl.tensor,
    classes: tl.tensor,
    width: tl.tensor,
    scale: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """Turn logits into their gradient, in place.

    Args:
        logits: Decoder products without bias, shape (places, width), element type; replaced by (softmax - one hot) * scale.
        bias: Shape (width,), type of the sums.
        targets: int64, shape (places,).
        losses: -log p of the target, shape (places,), type of the sums.
        classes: Columns that are no padding.
        width: Columns.
        scale: 1 / places.
        BLOCK: A power of two, at least ``width``.
    """
    place = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    kind = bias.dtype.element_ty
    real = cols < classes
    row = logits + place.to(tl.int64) * width
    x = tl.load(row + cols, mask=real, other=0.0).to(kind) + tl.load(bias + cols, mask=real, other=0.0)
    x = tl.where(real, x, float("-inf"))
    peak = tl.max(x, axis=0)
    e = tl.exp(x - peak)
    total = tl.sum(e, axis=0)
    target = tl.load(targets + place)
    hit = cols == target
    tl.store(losses + place, peak + tl.log(total) - tl.sum(tl.where(hit, x, 0.0), axis=0))
    tl.store(row + cols, (e / total - hit.to(kind)) * scale, mask=cols < width)


@triton.jit
def cast_weights(
    weight: tl.tensor,
    keep: tl.tensor,
    out: tl.tensor,
    out_t: tl.tensor,
    rows: tl.tensor,
    cols: tl.tensor,
    shift: tl.tensor,
    keep_scale: tl.tensor,
    step: tl.tensor,
    step_size: tl.tensor,
    top: tl.tensor,
    DROP: tl.constexpr,
    TRANSPOSE: tl.constexpr,
    QUANTISED: tl.constexpr,
    BR: tl.constexpr,
    BC: tl.constexpr,
) -> None:
    """Bring master weights to the element type, quantised and with DropConnect.

    Args:
        weight: Shape (rows, cols), type of the sums.
        keep: bool, same shape; read with ``DROP``.
        out: Shape (rows, cols), element type; row r goes to (r + shift) mod rows.
        out_t: Shape (cols, rows); written with ``TRANSPOSE``, without the shift.
        rows: A multiple of BR.
        cols: A multiple of BC.
        shift: See ``out``.
        keep_scale: Factor of what is kept.
        step: 2**frac of the weights; read with ``QUANTISED``.
        step_size: Its inverse.
        top: Largest integer of a weight.
        DROP: See above.
        TRANSPOSE: See above.
        QUANTISED: See above.
        BR: Rows of a program.
        BC: Columns of a program.
    """
    r = tl.program_id(0) * BR + tl.arange(0, BR)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    at = r[:, None] * cols + c[None, :]
    w = tl.load(weight + at)
    if QUANTISED:
        w = tl.minimum(tl.maximum(_round_half_up(w * step), -top), top) * step_size
    if DROP:
        w = w * (tl.load(keep + at).to(w.dtype) * keep_scale)
    tl.store(out + ((r + shift) % rows)[:, None] * cols + c[None, :], w)
    if TRANSPOSE:
        tl.store(out_t + c[:, None] * rows + r[None, :], tl.trans(w))


@triton.jit
def square_sums(grads: tl.tensor, partial: tl.tensor, count: tl.tensor, BLOCK: tl.constexpr, ROUNDS: tl.constexpr) -> None:
    """Write the sum of squares of ``BLOCK * ROUNDS`` gradients per program to ``partial``, type of the sums."""
    kind = partial.dtype.element_ty
    total = tl.zeros((BLOCK,), kind)
    start = tl.program_id(0).to(tl.int64) * (BLOCK * ROUNDS)
    for i in range(ROUNDS):
        at = start + i * BLOCK + tl.arange(0, BLOCK)
        g = tl.load(grads + at, mask=at < count, other=0.0).to(kind)
        total += g * g
    tl.store(partial + tl.program_id(0), tl.sum(total, axis=0))


@triton.jit
def adamw(
    weights: tl.tensor,
    grads: tl.tensor,
    first: tl.tensor,
    second: tl.tensor,
    mask: tl.tensor,
    scalars: tl.tensor,
    count: tl.tensor,
    decayed: tl.tensor,
    decay: tl.tensor,
    beta1: tl.tensor,
    beta2: tl.tensor,
    eps: tl.tensor,
    FIRST_MOMENT: tl.constexpr,
    MASKED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One AdamW step over all parameters (Loshchilov and Hutter, 2019), with clipping and pruning masks.

    Args:
        weights: Master weights, shape (count,), type of the sums.
        grads: Element type, same shape.
        first: First moment, same shape; unused without ``FIRST_MOMENT`` (β1 = 0: it is the gradient).
        second: Second moment, same shape.
        mask: uint8, 0 where a weight is pruned, same shape; read with ``MASKED``.
        scalars: Learning rate, factor of the gradients (clipping), 1 - β1^t, 1 - β2^t.
        count: Parameters.
        decayed: How many of them, from the first, decay.
        decay: Weight decay.
        beta1: β1.
        beta2: β2.
        eps: ε.
        FIRST_MOMENT: See above.
        MASKED: See above.
        BLOCK: Parameters of a program.
    """
    kind = weights.dtype.element_ty
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    rate = tl.load(scalars)
    g = tl.load(grads + at, mask=inside, other=0.0).to(kind) * tl.load(scalars + 1)
    w = tl.load(weights + at, mask=inside, other=0.0)
    v = tl.load(second + at, mask=inside, other=0.0)
    v = v * beta2 + g * g * (1.0 - beta2)
    tl.store(second + at, v, mask=inside)
    m = g
    if FIRST_MOMENT:
        m = tl.load(first + at, mask=inside, other=0.0)
        m = m * beta1 + g * (1.0 - beta1)
        tl.store(first + at, m, mask=inside)
    w = w * (1.0 - rate * tl.where(at < decayed, decay, 0.0))
    w = w - rate * (m / tl.load(scalars + 2)) / (tl.sqrt(v / tl.load(scalars + 3)) + eps)
    if MASKED:
        w = tl.where(tl.load(mask + at, mask=inside, other=0) != 0, w, 0.0)
    tl.store(weights + at, w, mask=inside)
