"""The product's evaluator as one long-lived process that reads and writes JSON Lines."""

from __future__ import annotations

import json
import subprocess
import threading


class Product:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def start(self, lines):
        """Hands the questions over. One thread writes and one reads, so that neither side waits for the other."""
        text, answers = ("\n".join(lines) + "\n").encode(), []
        threads = [
            threading.Thread(target=self.write, args=(text,)),
            threading.Thread(target=self.read, args=(len(lines), answers)),
        ]
        for thread in threads:
            thread.start()
        return threads, answers

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def read(self, count, answers):
        for _ in range(count):
            answers.append(self.process.stdout.readline())

    def finish(self, started):
        threads, answers = started
        for thread in threads:
            thread.join()
        return [json.loads(answer) for answer in answers]

    def ask(self, question):
        return self.finish(self.start([json.dumps(question)]))[0]
