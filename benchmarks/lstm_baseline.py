"""An LSTM language model of the EGRU's shape: ``python -m benchmarks.lstm_baseline --config RECIPE.toml --data FOLDER/ptb --out DIR``.

The peer of the EGRU in quality and in speed of training: the same text in the same order, the same regularisation and optimiser, read from
the tables ``data`` and ``dense`` of a recipe. The recurrence is cuDNN's on a GPU, in bf16 with float32 weights, and a whole optimiser step
is one CUDA graph; on a CPU it is torch's LSTM in float32. Sizes are padded to multiples of 64, since rows that are not aligned to 16 bytes
cost cuDNN a factor of two; padding is zero and stays zero, exactly (`LstmNetwork`).

A stopped run goes on with ``--resume`` to the same result.
"""

import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.paper_results import DATASET_NAMES, RECORD_FILE, CurvePoint, RunRecord
from benchmarks.results_file import errors_to_exit_codes
from egru.output import progress_console
from sw_model.datasets import TextDataset, load_text
from sw_model.dropout import Dropout, DropoutMasks, MaskShapes, drop
from sw_model.errors import UserError
from sw_model.evaluate import CHUNK, deal
from sw_model.event_gru import TIED_SPREAD, NetworkShape
from sw_model.output_folder import require_free, staged_folder, write_whole
from sw_model.strict_toml import StrictModel, read_toml, validate
from sw_model.train import Batches, learning_rate, steps_per_epoch
from sw_model.train_config import DataConfig, TrainConfig

PROGRESS_FOLDER = "unfinished"
TENSORS_FILE, POSITION_FILE = "tensors.safetensors", "position.json"
PARAMETER, OPTIMIZER, STATE, BEST = "parameter.", "optimizer.", "state.", "best."
ALIGNMENT = 64
WARM_UPS = 3
#: Steps between two looks at the loss, each of which waits for the GPU.
LOOK_EVERY = 50
#: Bias of a padding word: its probability is 0, in bf16 too, and so is the gradient that it would get.
NEVER = -1e4

LstmState = list[tuple[Tensor, Tensor]]


class LstmRecipe(StrictModel):
    """The tables of a recipe that are read; phases that follow are not."""

    data: DataConfig = DataConfig()
    dense: TrainConfig


def load_lstm_recipe(path: Path) -> LstmRecipe:
    """Read the tables ``data`` and ``dense`` of a recipe.

    Raises:
        UserError: When a value is not accepted, the decoder is not tied, or the table asks for what an LSTM here does not have.
    """
    tables = {name: table for name, table in read_toml(path).items() if name in LstmRecipe.model_fields}
    recipe = validate(tables, LstmRecipe, str(path))
    require_lstm(recipe.dense)
    return recipe


def require_lstm(config: TrainConfig) -> None:
    """Refuse a phase that asks for what the LSTM does not have; what only an event network has (θ, activity) is not read.

    Raises:
        UserError: When it does.
    """
    if not config.network.tied_decoder:
        raise UserError("table [dense.network]", "has no tied decoder, and this LSTM has no other", "add tied_decoder = true")
    for name in ("pruning", "quantization"):
        if getattr(config, name) is not None:
            raise UserError(f"{name} of an LSTM", "is not supported", f"leave {name} out of the table [dense]")


def aligned(size: int) -> int:
    """Return the next multiple of 64."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def as_given(size: int) -> int:
    """Return ``size``."""
    return size


class LstmLayer(nn.Module):
    """Parameters of one layer as cuDNN orders them: W, R, then a bias for each; gates i, f, g, o.

    Attributes:
        weight_ih: Shape (4 * neurons, inputs).
        weight_hh: Shape (4 * neurons, neurons).
        bias_ih: Shape (4 * neurons,).
        bias_hh: The same.
        neurons: With padding.
    """

    def __init__(self, inputs: int, neurons: int, size: Callable[[int], int]) -> None:
        """Draw initial values from torch's generator, as many as there are without padding."""
        super().__init__()
        self.neurons = size(neurons)
        bound = 1.0 / math.sqrt(neurons)

        def draw(*columns: int) -> nn.Parameter:
            values = torch.empty(4, neurons, *columns).uniform_(-bound, bound)
            return nn.Parameter(_padded(values, 4, *map(size, values.shape[1:])).flatten(0, 1))

        self.weight_ih, self.weight_hh = draw(inputs), draw(neurons)
        self.bias_ih, self.bias_hh = draw(), draw()
        self._buffer: Tensor | None = None
        self._places: list[Tensor] = []

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor], recurrent_dropout: float) -> tuple[Tensor, Tensor, Tensor]:
        """Run the layer over a chunk of time.

        Args:
            x: Shape (steps, streams, inputs); its type is that of all products.
            state: h and c, shape (1, streams, neurons), same type.
            recurrent_dropout: Share of the entries of R that are dropped for this call while training.

        Returns:
            Outputs, shape (steps, streams, neurons), and the h and c that follow.
        """
        # In the products' type, but rounded once for each entry: one rounded scale for all would make R too large or too small by as much.
        recurrent = functional.dropout(self.weight_hh.to(x.dtype), recurrent_dropout, self.training)
        weights = [self.weight_ih.to(x.dtype), recurrent, self.bias_ih.to(x.dtype), self.bias_hh.to(x.dtype)]
        if not x.is_cuda:
            return torch.lstm(x, state, weights, True, 1, 0.0, self.training, False, False)
        # Not torch.lstm, which decides by itself whether cuDNN is used: where bf16 is not for cuDNN, this is an error and not another LSTM.
        buffer, mode = self._fill(weights), torch.backends.cudnn.rnn.get_cudnn_mode("LSTM")  # type: ignore[no-untyped-call]
        output, h, c, _, _ = torch._cudnn_rnn(
            x, weights, 4, buffer, *state, mode, self.neurons, 0, 1, False, 0.0, self.training, False, [], None
        )
        return output, h, c

    @torch.no_grad()
    def _fill(self, weights: list[Tensor]) -> Tensor:
        """Copy weights to where cuDNN wants them; gradients go by the tensors in ``weights`` themselves."""
        if self._buffer is None:
            self._places = [torch.empty_like(weight) for weight in weights]
            mode = torch.backends.cudnn.rnn.get_cudnn_mode("LSTM")  # type: ignore[no-untyped-call]
            # Turns the tensors it is given into views of the buffer that it returns.
            self._buffer = torch._cudnn_rnn_flatten_weight(self._places, 4, weights[0].shape[1], mode, self.neurons, 0, 1, False, False)
        for place, weight in zip(self._places, weights, strict=True):
            place.copy_(weight)
        # An alias, as the call returns what it is given, and autograd marks what a call returns.
        return self._buffer.detach()


class LstmNetwork(nn.Module):
    """Embedding, LSTM layers, and the embedding again as decoder, with a bias.

    A padding neuron has g = 0, hence c = 0 and h = 0; no weight leads out of it, so no gradient comes back; its own weights' gradients are
    products with these zeros. So are those of padding columns and words. AdamW keeps a zero that has a zero gradient.
    """

    def __init__(self, shape: NetworkShape, tokens: int, dropout: Dropout, *, padded: bool) -> None:
        """Draw initial weights from torch's generator.

        Args:
            shape: Its sizes are read.
            tokens: Distinct symbols.
            dropout: Its share of dropped entries of R is read; the other masks are given to `forward`.
            padded: Round all sizes up to multiples of 64.
        """
        super().__init__()
        size = aligned if padded else as_given
        rows = torch.empty(tokens, shape.embedding_size).uniform_(-TIED_SPREAD, TIED_SPREAD)
        self.embedding = nn.Parameter(_padded(rows, size(tokens), size(shape.embedding_size)))
        sizes = (shape.embedding_size, *shape.hidden_sizes)
        self.layers = nn.ModuleList(LstmLayer(i, n, size) for i, n in pairwise(sizes))
        bias = torch.zeros(size(tokens))
        bias[tokens:] = NEVER
        self.decoder_bias = nn.Parameter(bias)
        self.recurrent_dropout = dropout.recurrent
        #: Trained values, without padding.
        self.values = tokens * (shape.embedding_size + 1) + sum(4 * n * (i + n + 2) for i, n in pairwise(sizes))

    def lstm_layers(self) -> list[LstmLayer]:
        """Return the layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, LstmLayer)]

    def mask_shapes(self, steps: int) -> MaskShapes:
        """Return what the dropout masks of a call of ``steps`` time steps depend on."""
        tokens, features = self.embedding.shape
        return MaskShapes(steps, tokens, features, tuple(layer.neurons for layer in self.lstm_layers()))

    def initial_state(self, streams: int, dtype: torch.dtype) -> LstmState:
        """Return h and c of every layer at the start of a sequence, shape (1, streams, neurons)."""
        shapes = [(1, streams, layer.neurons) for layer in self.lstm_layers()]
        device = self.embedding.device
        return [(torch.zeros(shape, dtype=dtype, device=device), torch.zeros(shape, dtype=dtype, device=device)) for shape in shapes]

    def forward(self, tokens: Tensor, state: LstmState, masks: DropoutMasks | None = None) -> tuple[Tensor, LstmState]:
        """Run the network over a chunk of time.

        Args:
            tokens: int64, shape (steps, streams).
            state: What the call before returned; its type is that of all products.
            masks: What to drop beside entries of R; nothing when not given.

        Returns:
            Logits, shape (steps, streams, classes with padding), and the state after the last step.
        """
        dtype, after = state[0][0].dtype, []
        x = functional.embedding(tokens, self.embedding)
        if masks and masks.word:
            x = x * functional.embedding(tokens, masks.word.factors(x.dtype))
        x = drop(masks.embedding if masks else None, x).to(dtype)
        for index, layer in enumerate(self.lstm_layers()):
            if index:
                x = drop(masks.between[index - 1] if masks else None, x)
            x, h, c = layer(x, state[index], self.recurrent_dropout)
            after.append((h, c))
        x = drop(masks.decoder if masks else None, x)
        return functional.linear(x, self.embedding.to(dtype), self.decoder_bias.to(dtype)), after


class LstmStepper:
    """An LSTM in training: weights, optimiser and carried state. On a GPU a whole step is one CUDA graph.

    Attributes:
        network: The weights, float32.
        optimizer: AdamW.
    """

    def __init__(self, config: TrainConfig, tokens: int, device: torch.device, *, padded: bool = True, graph: bool = True) -> None:
        """Draw initial weights from the configuration's seed.

        Args:
            config: The phase.
            tokens: Distinct symbols.
            device: A CPU computes in float32, a GPU's products are in bf16.
            padded: See `LstmNetwork`.
            graph: Capture a step as a CUDA graph; without it, or on a CPU, every kernel is launched by itself.

        Raises:
            UserError: See `require_lstm`.
        """
        require_lstm(config)
        torch.manual_seed(config.seed)
        self.network = LstmNetwork(config.network, tokens, config.dropout, padded=padded).to(device)
        self._parameters = list(self.network.parameters())
        self._clip = config.gradient_clip
        self._dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self._rate = torch.tensor(config.learning_rate, device=device)
        self._captured = graph and device.type == "cuda"
        self.optimizer = _optimizer(self.network, config, self._rate, capturable=self._captured)
        # The masks of R are drawn layer by layer, see `LstmLayer`.
        others = config.dropout.model_copy(update={"recurrent": 0.0})
        self._masks = DropoutMasks.allocate(others, self.network.mask_shapes(config.chunk), device)
        self._chunk = torch.zeros(config.chunk + 1, config.streams, dtype=torch.int64, device=device)
        self._state = self.network.initial_state(config.streams, self._dtype)
        self._loss = torch.zeros((), device=device)
        self._graph: torch.cuda.CUDAGraph | None = None

    def step(self, chunk: Tensor, first: bool, learning_rate: float, seed: int) -> Tensor:
        """Do one optimiser step, without waiting for it.

        Args:
            chunk: int64, shape (chunk + 1, streams), on the device.
            first: Whether it begins a sequence: the state before it is zero.
            learning_rate: Of this step.
            seed: Of this step's dropout.

        Returns:
            The cross entropy in nats, shape (), on the device.
        """
        if self._captured and self._graph is None:
            self._capture(chunk)
        self._chunk.copy_(chunk)
        self._rate.fill_(learning_rate)
        if first:
            for part in self._state_parts():
                part.zero_()
        torch.manual_seed(seed)
        if self._graph is None:
            self._whole_step()
        else:
            self._graph.replay()
        return self._loss.clone()

    def _whole_step(self) -> None:
        self._masks.draw()
        logits, after = self.network(self._chunk[:-1], self._state, self._masks)
        # In float32: log-probabilities rounded to bf16 would put their error into every gradient.
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), self._chunk[1:].flatten())
        # Not backward(): what accumulates gradients remembers the stream it was made on, which a capture is not.
        for parameter, gradient in zip(self._parameters, torch.autograd.grad(loss, self._parameters), strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self.optimizer.step()
        with torch.no_grad():
            self._loss.copy_(loss)
            for part, value in zip(self._state_parts(), (value for pair in after for value in pair), strict=True):
                part.copy_(value)

    def _capture(self, chunk: Tensor) -> None:
        """Capture a step; weights, optimiser and state are as before afterwards."""
        kept = {name: tensor.clone() for name, tensor in self.tensors().items()}
        self._chunk.copy_(chunk)
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*capturable=True.*")  # the steps that warm up are not captured
            for _ in range(WARM_UPS):
                self._whole_step()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._whole_step()
        self._graph = graph
        self.load(kept)

    @torch.no_grad()
    def evaluate(self, tokens: Any, streams: int) -> float:
        """Return the perplexity of a text.

        Args:
            tokens: int, shape (symbols,).
            streams: See `evaluate.deal`; every stream starts at zero state, and carries it on.
        """
        network = self.network
        dealt = torch.as_tensor(deal(tokens, streams)).t().contiguous().to(self._rate.device)
        state = network.initial_state(dealt.shape[1], self._dtype)
        nats = torch.zeros((), dtype=torch.float64, device=dealt.device)
        network.eval()
        for start in range(0, len(dealt) - 1, CHUNK):
            chunk = dealt[start : start + CHUNK + 1]
            logits, state = network(chunk[:-1], state)
            nats += functional.cross_entropy(logits.flatten(0, 1).float(), chunk[1:].flatten(), reduction="sum")
        network.train()
        return math.exp(nats.item() / dealt[1:].numel())

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that later steps depend on, by name; these are the very tensors, not copies."""
        named = {f"{PARAMETER}{name}": parameter.detach() for name, parameter in self.network.named_parameters()}
        for name, parameter in self.network.named_parameters():
            named |= {f"{OPTIMIZER}{name}/{key}": value for key, value in self.optimizer.state[parameter].items()}
        for index, (h, c) in enumerate(self._state):
            named |= {f"{STATE}{index}.h": h, f"{STATE}{index}.c": c}
        return named

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take up values that `tensors` gave, or some of them.

        Raises:
            UserError: When a name or shape is not that of this network.
        """
        mine = self.tensors()
        for name, value in tensors.items():
            if name not in mine or mine[name].shape != value.shape:
                raise UserError(f"tensor {name} of shape {tuple(value.shape)}", "does not fit this network", "resume with the same recipe")
            mine[name].copy_(value)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights that `load` takes."""
        return {name: tensor.clone() for name, tensor in self.tensors().items() if name.startswith(PARAMETER)}

    def _state_parts(self) -> list[Tensor]:
        return [part for pair in self._state for part in pair]


class Position(BaseModel):
    """What a stopped run needs beside tensors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: dict[str, Any]
    padded: bool
    step: int
    seconds: float
    curve: list[CurvePoint]


class Training:
    """A run, from its first step or from where it was stopped."""

    def __init__(self, config: TrainConfig, dataset: TextDataset, *, padded: bool = True, graph: bool = True) -> None:
        """Make a network.

        Args:
            config: The phase, with its device.
            dataset: The text.
            padded: See `LstmNetwork`.
            graph: See `LstmStepper`.

        Raises:
            UserError: When the text is too short, or of another name than those that are reported.
        """
        if dataset.name not in DATASET_NAMES:
            raise UserError(f"text {dataset.name}", "is none that is reported", f"give a folder named {' or '.join(DATASET_NAMES)}")
        self.config, self.dataset, self.padded = config, dataset, padded
        self.device = torch.device(config.device)
        self.batches = Batches(dataset.train, config)
        self.steps_per_epoch = steps_per_epoch(dataset.train, config)
        self.stepper = LstmStepper(config, len(dataset.vocabulary), self.device, padded=padded, graph=graph)
        self.step, self.seconds = 0, 0.0
        self.curve: list[CurvePoint] = []
        self.best: dict[str, Tensor] = {}

    def run(self, out: Path, recipe: str, limit: float | None = None) -> None:
        """Train to the end, until patience runs out, or until ``limit`` seconds have passed; then measure the test split, once.

        Args:
            out: Folder of the record, and of what a stopped run needs to go on.
            recipe: Its name.
            limit: None to train to the end.

        Raises:
            UserError: When the loss is no longer a number.
        """
        config, begun, before = self.config, time.monotonic(), self.seconds
        ended = self._ended()
        while not ended and (limit is None or time.monotonic() - begun < limit):
            loss = self._step()
            validates = self.step % config.validate_every == 0 or self.step == config.steps
            if validates or self.step % LOOK_EVERY == 0:
                self._require_finite(loss)
            if validates:
                self._validate(loss)
                self.seconds = before + time.monotonic() - begun
                self._write_record(out, recipe, None)
            ended = self._ended()
            self.seconds = before + time.monotonic() - begun
            if not ended and config.checkpoint_every and self.step % config.checkpoint_every == 0:
                self.save(out / PROGRESS_FOLDER)
        if not ended:
            self.save(out / PROGRESS_FOLDER)
        if self.best:
            self.stepper.load(self.best)
            test = self.stepper.evaluate(self.dataset.test, config.validation_streams)
            self._write_record(out, recipe, test)
            _say(f"step {self.step}: test perplexity {test:.2f}, best validation {self._best_validation():.2f}")
        if ended:
            shutil.rmtree(out / PROGRESS_FOLDER, ignore_errors=True)

    def _step(self) -> Tensor:
        chunk, first = self.batches.at(self.step)
        rate = learning_rate(self.config, self.step)
        loss = self.stepper.step(chunk, first, rate, self.config.seed * 1_000_003 + self.step)
        self.step += 1
        return loss

    def _ended(self) -> bool:
        patience = self.config.patience
        found = [point.validation_perplexity for point in self.curve]
        stale = len(found) - 1 - found.index(min(found)) if found else 0
        return self.step >= self.config.steps or bool(patience and stale >= patience)

    def _require_finite(self, loss: Tensor) -> None:
        if not math.isfinite(loss.item()):
            rate = self.config.learning_rate
            raise UserError(f"training loss at step {self.step}", "is not a number any more", f"lower learning_rate={rate}")

    def _validate(self, loss: Tensor) -> None:
        found = self.stepper.evaluate(self.dataset.valid, self.config.validation_streams)
        if not self.curve or found < self._best_validation():
            self.best = self.stepper.weights()
        epoch = self.step / self.steps_per_epoch
        self.curve.append(CurvePoint(epoch=epoch, validation_perplexity=found, event_density=[], weight_density=1.0))
        _say(f"epoch {epoch:.1f}: loss {loss.item():.3f} nats, validation perplexity {found:.2f}, best {self._best_validation():.2f}")

    def _best_validation(self) -> float:
        return min(point.validation_perplexity for point in self.curve)

    def _write_record(self, out: Path, recipe: str, test: float | None) -> None:
        """Write the record, whole at any time; one without a test perplexity is that of a run under way."""
        config = self.config
        record = RunRecord(
            name=out.resolve().name,
            dataset=self.dataset.name,  # type: ignore[arg-type]  # checked when the run was made
            cell="lstm",
            hidden_sizes=list(config.network.hidden_sizes),
            sparsity=0.0,
            weight_bits=None,
            weight_decay=config.weight_decay,
            epochs=self.step / self.steps_per_epoch,
            steps=self.step,
            seconds=self.seconds,
            gpu=torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU",
            gpus=1,
            seed=config.seed,
            recipe=recipe,
            parameters=self.stepper.network.values,
            validation_perplexity=self._best_validation(),
            test_perplexity=test or self._best_validation(),
            event_density=[],
            weight_density=1.0,
            digest=None,
            curve=self.curve,
        )
        # Under way there is none yet, and the validation split's is not it.
        content = record.model_dump(mode="json") | {"test_perplexity": test}
        write_whole(out / RECORD_FILE, json.dumps(content, indent=1) + "\n")

    def save(self, folder: Path) -> None:
        """Write everything that the rest of the run depends on, all or nothing."""
        best = {f"{BEST}{name}": tensor for name, tensor in self.best.items()}
        position = Position(
            config=self.config.model_dump(mode="json"), padded=self.padded, step=self.step, seconds=self.seconds, curve=self.curve
        )
        with staged_folder(folder, force=True) as staging:
            save_file({name: tensor.contiguous() for name, tensor in (self.stepper.tensors() | best).items()}, staging / TENSORS_FILE)
            (staging / POSITION_FILE).write_text(position.model_dump_json(indent=1) + "\n")

    def restore(self, folder: Path) -> None:
        """Take up what `save` wrote.

        Raises:
            UserError: When it is damaged, or of another configuration.
        """
        remedy = "resume with the same recipe and options, or give another --out"
        try:
            position = Position.model_validate_json((folder / POSITION_FILE).read_bytes())
            tensors = load_file(folder / TENSORS_FILE, device=str(self.device))
        except (OSError, ValueError, SafetensorError) as error:
            raise UserError(f"unfinished run {folder}", f"cannot be read: {error}", remedy) from error
        if position.config != self.config.model_dump(mode="json") or position.padded != self.padded:
            raise UserError(f"unfinished run {folder}", "has another configuration", remedy)
        self.best = {name.removeprefix(BEST): tensor for name, tensor in tensors.items() if name.startswith(BEST)}
        self.stepper.load({name: tensor for name, tensor in tensors.items() if not name.startswith(BEST)})
        self.step, self.seconds, self.curve = position.step, position.seconds, position.curve


def run(
    config: Annotated[Path, typer.Option(help="Recipe: a TOML file whose table [dense] is trained.")],
    out: Annotated[Path, typer.Option(help="Output folder; its name is the run's.")],
    data: Annotated[str | None, typer.Option(help="Text, if not the recipe's: a folder in the Penn Treebank layout.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds, to be resumed.", min=0.0)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run was stopped, if it was.")] = False,
    device: Annotated[str | None, typer.Option(help="cuda or cpu; a GPU if there is one.")] = None,
    unpadded: Annotated[bool, typer.Option("--unpadded", help="Sizes as given, not padded to multiples of 64.")] = False,
    no_graph: Annotated[bool, typer.Option("--no-graph", help="Launch every kernel by itself.")] = False,
) -> None:
    """Train the LSTM."""
    # cuBLAS, which cuDNN calls on several streams, adds in a fixed order only with workspaces of a fixed size.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with errors_to_exit_codes():
        chosen = choose_device(device)
        recipe = load_lstm_recipe(config)
        unfinished = out / PROGRESS_FOLDER
        if not resume:
            require_free(out, force=False)
        elif _finished(out):
            _say(f"{out} holds a finished run")
            return
        text = load_text(data or recipe.data.source, recipe.data.unit, max_vocabulary=recipe.data.max_vocabulary)
        phase = recipe.dense.model_copy(update={"device": chosen.type})
        training = Training(phase, text, padded=not unpadded, graph=not no_graph)
        if unfinished.is_dir():
            training.restore(unfinished)
        training.run(out, config.stem, seconds)


def choose_device(name: str | None) -> torch.device:
    """Return a device by name; a GPU if there is one when no name is given.

    Raises:
        UserError: When there is none of that name.
    """
    available = torch.cuda.is_available()
    if name not in (None, "cpu", "cuda"):
        raise UserError(f"--device {name}", "is not known", "choose cuda or cpu")
    if name == "cuda" and not available:
        raise UserError("--device cuda", "needs a GPU that torch can use", "choose cpu")
    return torch.device(name or ("cuda" if available else "cpu"))


def _finished(out: Path) -> bool:
    """Whether a run has ended there: its record has a test perplexity, and nothing to go on from is left."""
    record = out / RECORD_FILE
    if not record.is_file() or (out / PROGRESS_FOLDER).exists():
        return False
    return json.loads(record.read_text())["test_perplexity"] is not None


def _optimizer(network: LstmNetwork, config: TrainConfig, rate: Tensor, *, capturable: bool) -> torch.optim.AdamW:
    """Make AdamW with all its state in place, so that it can be captured, saved and loaded before the first step."""
    # As for the EGRU, only matrices decay.
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in network.parameters() if parameter.ndim == 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=config.betas, fused=True, capturable=capturable)
    for parameter in network.parameters():
        moments = {key: torch.zeros_like(parameter, requires_grad=False) for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {"step": torch.zeros((), device=parameter.device), **moments}
    return optimizer


def _padded(values: Tensor, *shape: int) -> Tensor:
    result = values.new_zeros(shape)
    result[tuple(slice(size) for size in values.shape)] = values
    return result


def _say(words: str) -> None:
    progress_console.print(words, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    typer.run(run)
