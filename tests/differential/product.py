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
        """Hands the questions over. A thread writes, since the process answers before it has read everything."""
        text = ("\n".join(lines) + "\n").encode()
        writer = threading.Thread(target=self.write, args=(text,))
        writer.start()
        return writer, len(lines)

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def finish(self, started):
        writer, count = started
        answers = [self.process.stdout.readline() for _ in range(count)]
        writer.join()
        return [json.loads(answer) for answer in answers]

    def ask(self, question):
        return self.finish(self.start([json.dumps(question)]))[0]
