"""How long a body may take: one timer for all requests, because one each would cost as much as
checking a signature.
"""

import asyncio

#: Looked at so often within the time allowed; that much later than allowed it ends at most.
LOOKS = 8

Task = asyncio.Task[object]


class Patience:
    """Interrupts tasks that began to wait more than `seconds` ago."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.waiting: dict[Task, float] = {}
        self.late: set[Task] = set()
        self.timer: asyncio.TimerHandle | None = None

    def begin(self, task: Task | None) -> None:
        """Count the time of this task from now."""
        loop = asyncio.get_running_loop()
        if task is not None:
            self.waiting[task] = loop.time()
        if self.timer is None:
            self.timer = loop.call_later(self.seconds / LOOKS, self._look)

    def end(self, task: Task | None) -> None:
        """Forget this task: it waits no longer."""
        if task is not None:
            self.waiting.pop(task, None)
            self.late.discard(task)

    def ran_out(self, task: Task | None) -> bool:
        """Whether the task was interrupted for being late, and not by somebody else."""
        return task in self.late

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() - self.seconds
        for task in [task for task, began in self.waiting.items() if began <= due]:
            del self.waiting[task]
            self.late.add(task)
            task.cancel()
        self.timer = loop.call_later(self.seconds / LOOKS, self._look) if self.waiting else None
