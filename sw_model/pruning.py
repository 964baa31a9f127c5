"""Magnitude pruning of the matrices whose weights cost a MAC each: one interface, five structures of what is left.

The matrices are R of every layer, W of the layers after the first and, in a network of features, of the first too, and the decoder. The
embedding and its input weight fold into a table (docs/semantics.md, section 5), so a zero in them saves nothing. What each method is for
stands in docs/pruning.md.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, NetworkShape
from sw_model.pruning_config import Method, PruningStructure

#: Score of a weight that an earlier pruning dropped, and of padding that is no weight: below every magnitude, so that they go first.
DROPPED, PADDING = -1.0, -2.0


def prunable(network: EventNetwork) -> dict[str, Tensor]:
    """Return the parameters that become MACs in hardware, by name; a decoder tied to the embedding is left out."""
    found: dict[str, Tensor] = {}
    for index, layer in enumerate(network.event_layers()):
        found[f"layers.{index}.recurrent_weight"] = layer.recurrent_weight
        if layer.weight is not None:
            found[f"layers.{index}.weight"] = layer.weight
    if network.decoder_weight is not network.embedding:
        found["decoder_weight"] = network.decoder_weight
    return found


def magnitude_masks(
    network: EventNetwork, sparsity: float, structure: PruningStructure | None = None, held: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Choose the weights to keep.

    Args:
        network: Its weights decide.
        sparsity: Share of weights to drop. A structure reaches it to within one weight (or group) in each of its units.
        structure: Who competes with whom; global when not given. In every unit the smallest go, ties in the order of `prunable`.
        held: Masks of the pruning before, by parameter name. What they dropped goes first and never comes back, so masks only shrink. Where
            they are of another structure, some units keep less than their share.

    Returns:
        Per parameter name a bool tensor of its shape, True where the weight stays.

    Raises:
        UserError: When ``structure`` does not fit the network, see `require_fit`.
    """
    structure = structure or PruningStructure()
    config = network.config
    require_fit(structure, config, config.classes)
    weights, held = prunable(network), held or {}
    scores = {name: _scores(weight, held.get(name)) for name, weight in weights.items()}
    masks = _STRATEGIES[structure.method](scores, sparsity, structure)
    return {name: (masks[name] & (score > DROPPED)).view(weights[name].shape).clone() for name, score in scores.items()}


def require_fit(structure: PruningStructure, shape: NetworkShape, classes: int) -> None:
    """Check a structure against the shape of a network; only lanes can fail to fit.

    Args:
        structure: What was asked for.
        shape: Of the network.
        classes: Rows of the decoder.

    Raises:
        UserError: When there are too many or too few numbers of lanes, or more lanes than rows.
    """
    lanes = structure.lanes
    if lanes is None:
        return
    blocks = [(f"layer {index}", rows) for index, rows in enumerate(shape.hidden_sizes)]
    wanted = f"{len(blocks)} layers and a decoder"
    if shape.tied_decoder:
        wanted = f"{len(blocks)} layers: the decoder is tied to the embedding, so it is not pruned and takes none"
    else:
        blocks.append(("the decoder", classes))
    if isinstance(lanes, tuple) and len(lanes) != len(blocks):
        raise UserError(f"lanes={list(lanes)}", f"has {len(lanes)} numbers for {wanted}", f"give one number or {len(blocks)}")
    for (name, rows), count in zip(blocks, _by_block(lanes, len(blocks)), strict=True):
        if count > rows:
            raise UserError(f"lanes={count} of {name}", f"exceeds its {rows} rows", f"use 1 to {rows}")


def apply_masks(network: EventNetwork, masks: dict[str, Tensor]) -> None:
    """Set every masked weight to zero; called after each optimiser step, so that masks hold."""
    weights = prunable(network)
    with torch.no_grad():
        for name, mask in masks.items():
            weights[name].mul_(mask)


def density(network: EventNetwork) -> float:
    """Return the share of non-zero weights among the prunable ones."""
    weights = prunable(network).values()
    return sum(int(torch.count_nonzero(w)) for w in weights) / sum(w.numel() for w in weights)


# The methods. Each takes the scores of all matrices by name, shape (gates, rows, sources), one gate in the decoder, and returns masks of
# the same shapes. The larger score stays.

_Scores = dict[str, Tensor]


def _global(scores: _Scores, sparsity: float, structure: PruningStructure) -> _Scores:
    flat = torch.cat([score.flatten() for score in scores.values()])
    return _split_like(_keep_largest(flat, len(flat) - round(sparsity * len(flat))), scores)


def _layer(scores: _Scores, sparsity: float, structure: PruningStructure) -> _Scores:
    return {
        name: _keep_largest(score.flatten(), score.numel() - round(sparsity * score.numel())).view(score.shape)
        for name, score in scores.items()
    }


def _column_balanced(scores: _Scores, sparsity: float, structure: PruningStructure) -> _Scores:
    """Keep as many weights in every lane of a column.

    After column-balanced targeted dropout: C. Gao, T. Delbruck, S.-C. Liu, "Spartus", IEEE TNNLS 2022, arXiv 2108.02297. There all columns
    keep the same number, and a weight is dropped by chance while training. Here the k-th largest weights of a column's lanes form a group;
    the groups of all columns and matrices compete, and the cubic schedule takes the place of chance.
    """
    assert structure.lanes is not None  # checked when the structure was made
    blocks = list(dict.fromkeys(map(_block, scores)))
    lanes = dict(zip(blocks, _by_block(structure.lanes, len(blocks)), strict=True))
    by_lane = {name: _deal_rows(score, lanes[_block(name)]) for name, score in scores.items()}
    ranked = {name: dealt.sort(dim=-1, descending=True).values for name, dealt in by_lane.items()}
    # Divided by all lanes, short ones too: so a group is never worth more than the one before it in its column.
    values = {name: _mean_square(dealt) for name, dealt in ranked.items()}
    kept = _keep_groups(values, {name: (dealt > PADDING).sum(dim=0) for name, dealt in ranked.items()}, sparsity)
    masks = {}
    for name, score in scores.items():
        # Counted, so that of groups that tie it is the first ones of a column that stay.
        counts = kept[name].sum(dim=-1)
        ranks = by_lane[name].argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
        masks[name] = _gather_rows(ranks < counts[:, None], score.shape)
    return masks


def _deal_rows(score: Tensor, lanes: int) -> Tensor:
    """Order (gates, rows, sources) as (lanes, sources, cells of a lane). Lanes that have a row less are padded."""
    gates, rows, sources = score.shape
    slots = -(-rows // lanes)
    padded = functional.pad(score, (0, 0, 0, slots * lanes - rows), value=PADDING)
    # Row = slot * lanes + lane, hence the order of the axes.
    return padded.view(gates, slots, lanes, sources).permute(2, 3, 0, 1).reshape(lanes, sources, gates * slots)


def _gather_rows(dealt: Tensor, shape: torch.Size) -> Tensor:
    """Undo `_deal_rows`."""
    gates, rows, sources = shape
    return dealt.view(len(dealt), sources, gates, -1).permute(2, 3, 0, 1).reshape(gates, -1, sources)[:, :rows]


def _n_of_m(scores: _Scores, sparsity: float, structure: PruningStructure) -> _Scores:
    """Keep N of M weights that follow each other in a column, rows outside, the gates of a row inside.

    On the way to its N a gradual schedule passes through N:M patterns of the same M with a larger N, which contain each other.
    """
    assert structure.n_of_m is not None  # checked when the structure was made
    n, m = structure.n_of_m
    n = max(n, round((1.0 - sparsity) * m))
    masks = {}
    for name, score in scores.items():
        gates, rows, sources = score.shape
        column = score.permute(2, 1, 0).reshape(sources, rows * gates)
        whole = rows * gates // m * m
        blocks = _keep_largest(column[:, :whole].view(sources, -1, m), n).flatten(1)
        # A shorter block at the column's end keeps its share, rounded up: never more than N.
        rest = _keep_largest(column[:, whole:], -(-(rows * gates - whole) * n // m))
        masks[name] = torch.cat([blocks, rest], dim=1).view(sources, rows, gates).permute(2, 1, 0)
    return masks


def _gate_group(scores: _Scores, sparsity: float, structure: PruningStructure) -> _Scores:
    """Keep the groups of largest mean square.

    The mean, not the sum: what dropping a group adds to the squared error, per MAC that it saves. So groups of three and the decoder's
    single weights compare fairly.
    """
    values = {name: _mean_square(score) for name, score in scores.items()}
    kept = _keep_groups(
        values, {name: torch.full_like(values[name], len(score), dtype=torch.int64) for name, score in scores.items()}, sparsity
    )
    return {name: kept[name].expand_as(score) for name, score in scores.items()}


def _mean_square(score: Tensor) -> Tensor:
    """Return the scores of groups that lie along the first axis; a group that was dropped before stays below all others."""
    return torch.where((score > DROPPED).any(dim=0), score.clamp(min=0.0).square().mean(dim=0), DROPPED)


def _keep_groups(values: _Scores, sizes: _Scores, sparsity: float) -> _Scores:
    """Drop the groups of least value until another one would drop too many weights; ``sizes`` counts the weights of each group."""
    flat_values, flat_sizes = (torch.cat([tensor.flatten() for tensor in groups.values()]) for groups in (values, sizes))
    order = torch.argsort(flat_values, stable=True)
    dropped = order[torch.cumsum(flat_sizes[order], 0) <= round(sparsity * int(flat_sizes.sum()))]
    keep = torch.ones_like(flat_values, dtype=torch.bool)
    keep[dropped] = False
    return _split_like(keep, values)


_STRATEGIES: dict[Method, Callable[[_Scores, float, PruningStructure], _Scores]] = {
    "global": _global,
    "layer": _layer,
    "column-balanced": _column_balanced,
    "n-m": _n_of_m,
    "gate-group": _gate_group,
}


def _scores(weight: Tensor, held: Tensor | None) -> Tensor:
    magnitude = weight.detach().abs()
    if held is not None:
        magnitude = magnitude.masked_fill(~held, DROPPED)
    return magnitude if magnitude.ndim == 3 else magnitude.unsqueeze(0)


def _keep_largest(scores: Tensor, count: int) -> Tensor:
    """Return a mask that is True for the ``count`` largest along the last axis; of equal ones the later."""
    order = torch.argsort(scores, dim=-1, stable=True)
    keep = torch.ones_like(scores, dtype=torch.bool)
    return keep.scatter(-1, order[..., : scores.shape[-1] - count], False)


def _split_like(flat: Tensor, scores: _Scores) -> _Scores:
    parts = torch.split(flat, [score.numel() for score in scores.values()])
    return {name: part.view(score.shape) for (name, score), part in zip(scores.items(), parts, strict=True)}


def _block(name: str) -> str:
    """Return what shares lanes: ``layers.0`` ..., or the decoder."""
    return name.rsplit(".", 1)[0]


def _by_block(lanes: int | tuple[int, ...], blocks: int) -> tuple[int, ...]:
    """Return one number for each block; `require_fit` has counted those of a tuple."""
    return (lanes,) * blocks if isinstance(lanes, int) else lanes
