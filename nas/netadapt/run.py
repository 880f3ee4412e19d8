"""One NetAdapt, checked and in its folder: the seed, the steps, the adapted network and its page."""

from dataclasses import dataclass

import torch
from rich.console import Console

from nas.classifier_file import load_classifier, save_classifier
from nas.data import ImageData
from nas.display import task_display
from nas.environment import available_cores
from nas.netadapt.adapt import Adaptation, Goal, Judged, Kept, seed_step
from nas.netadapt.config import AdaptConfig
from nas.netadapt.display import AdaptDisplay
from nas.netadapt.fine_tuning import FineTuning
from nas.netadapt.folder import AdaptFolder
from nas.netadapt.places import Places
from nas.netadapt.prices import Prices
from nas.netadapt.proposals import Proposer
from nas.netadapt.report import write_adapt_report
from nas.netadapt.summary import AdaptSummary, write_adapted
from nas.network import build
from nas.run_folder import RunFolder
from nas.search import SearchFailedError, child_seed
from nas.stopping import terminable
from nas.training import accuracy, train
from search_spaces import FileError, proxy_arch


@dataclass(slots=True)
class AdaptRun:
    """A run that was begun; the validation images of ``data`` are held-out training images."""

    folder: AdaptFolder
    config: AdaptConfig
    prices: Prices
    data: ImageData
    places: Places
    console: Console

    def complete(self) -> AdaptSummary:
        """Go the steps that are left, and write what came out; ``SearchFailedError`` if no proposal works."""
        try:
            with RunFolder(self.folder.path).locked(), terminable():
                adaptation = self._adapted(self.folder.read_kept() or [self._seed_step()])
                summary = self._summary(adaptation)
                self.folder.drop_proposals()
                write_adapted(self.folder, adaptation.steps, summary)
                write_adapt_report(self.folder, self.config, adaptation.steps, summary)
        except KeyboardInterrupt:
            self.console.print(f"stopped; go on with: nas-adapt --resume {self.folder.path}", soft_wrap=True)
            raise
        except OSError as error:
            raise FileError(
                f"cannot write to {self.folder.path}: {error.strerror or error}; make room, then go on with: nas-adapt "
                f"--resume {self.folder.path}"
            ) from error
        return summary

    def _seed_step(self) -> Kept:
        """Judge the seed, and train it before if it came without weights."""
        path = self.folder.weights(0)
        if not path.exists():
            self._train_seed()
        seed = load_classifier(path)
        with torch.random.fork_rng(devices=[]):
            model = build(seed.arch)
        model.load_state_dict(seed.weights)
        reached = accuracy(model.to(self.places.device), self.data, self.data.validation)
        step = seed_step(self.config.arch, self.prices.exactly(self.config.arch), reached)
        self.folder.append_kept(step)
        held_out = f"{len(self.data.validation):,} held-out training images"
        self.console.print(f"seed: {step.latency_ms:.3f} ms, accuracy {reached:.2%} on {held_out}", soft_wrap=True)
        return step

    def _train_seed(self) -> None:
        config, data = self.config, self.data
        self.console.print("no weights were given: training the seed on the proxy task first", soft_wrap=True)
        arch = proxy_arch(config.arch, data.resolution, len(data.classes), config.smallest_map)
        epochs = config.seed_recipe.epochs_for(len(data.train))
        with task_display(self.console, "training the seed, epochs") as report:
            trained = train(
                arch,
                data,
                config.seed_recipe,
                child_seed(config.seed, arch.key),
                device=self.places.device,
                threads=available_cores(),
                on_epoch=lambda epoch, loss: report(epoch, epochs),
            )
        save_classifier(self.folder.weights(0), arch, data, config.seed_recipe, trained)

    def _adapted(self, steps: list[Kept]) -> Adaptation:
        config = self.config
        display = AdaptDisplay(self.console, steps[0], steps[-1], config.target_ms)

        def note_judged(judged: Judged) -> None:
            self.folder.append_judged(judged)
            display.judged(judged, *adaptation.progress)

        def note_kept(kept: Kept) -> None:
            self.folder.append_kept(kept)
            display.kept(kept)

        adaptation = Adaptation(
            steps,
            Goal(config.target_ms, config.select),
            Proposer.of(config.arch, self.prices, config.delta_ms),
            self.folder.unfinished(len(steps)),
            note_judged,
            note_kept,
        )
        if not adaptation.done:
            with display.shown():
                self.places.run(adaptation, self._judge())
        if adaptation.gave_up or not adaptation.done:
            reason = adaptation.gave_up or "the proposals ended early"
            raise SearchFailedError(f"{reason}; go on with: nas-adapt --resume {self.folder.path}")
        return adaptation

    def _judge(self) -> FineTuning:
        config = self.config
        return FineTuning(
            AdaptFolder(self.folder.path.resolve()),  # a worker on Ray has a folder of its own to work in
            load_classifier(self.folder.weights(0)).arch,
            self.data,
            config.recipe,
            config.steps,
            config.keep,
            config.seed,
            self.places.threads,
            self.places.device,
        )

    def _summary(self, adaptation: Adaptation) -> AdaptSummary:
        seed, now = adaptation.steps[0], adaptation.current
        return AdaptSummary(
            folder=str(self.folder.path),
            device=self.prices.table.header.device,
            steps=now.step,
            reached=not adaptation.exhausted,
            target_ms=self.config.target_ms,
            latency_ms=now.latency_ms,
            accuracy=now.accuracy,
            seed_latency_ms=seed.latency_ms,
            seed_accuracy=seed.accuracy,
            refusals=self.prices.refusals(),
        )
