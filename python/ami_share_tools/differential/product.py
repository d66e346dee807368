"""The product's evaluator as one long-lived process that reads and writes JSON Lines."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from ami_share_tools.differential.request import Question
from ami_share_tools.document import Document

# The threads of a batch, and where its answers arrive.
Started = tuple[list[threading.Thread], list[bytes]]


class Product:
    def __init__(self, command: Sequence[str | Path]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin and self.process.stdout
        self.questions, self.answers = self.process.stdin, self.process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.questions.close()
        self.process.wait()
        self.answers.close()

    def start(self, lines: list[str]) -> Started:
        """Hands the questions over. One thread writes and one reads, so that neither side waits for the other."""
        text = ("\n".join(lines) + "\n").encode()
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=self.write, args=(text,)),
            threading.Thread(target=self.read, args=(len(lines), answers)),
        ]
        for thread in threads:
            thread.start()
        return threads, answers

    def write(self, text: bytes) -> None:
        self.questions.write(text)
        self.questions.flush()

    def read(self, count: int, answers: list[bytes]) -> None:
        for _ in range(count):
            answers.append(self.answers.readline())

    def finish(self, started: Started) -> list[Document]:
        threads, answers = started
        for thread in threads:
            thread.join()
        return [json.loads(answer) for answer in answers]

    def ask(self, question: Question) -> Document:
        return self.finish(self.start([json.dumps(question)]))[0]
