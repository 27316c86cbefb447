"""How often a store is asked again, and when that is given up: one rule for every kind of store."""

import random
from collections.abc import Callable

from holdfast.connect.objects.errors import StoreThrottled, StoreUnreachable, shown
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.transport import Answer, Broken, Partial
from holdfast.model import Clock

_LONGEST = 8.0
_QUIET = 30.0


class Patience:
    """How long one call is tried. Pauses double from 0.1 s to 8 s, each shortened or lengthened by up to a half."""

    def __init__(self, seconds: float, clock: Clock, jitter: Callable[[], float]) -> None:
        self._clock, self._jitter = clock, jitter
        self._end = clock.monotonic() + seconds
        self._pause = 0.1
        self.tries = 0

    def wait(self, said: float | None = None) -> bool:
        """Pause before the next try; False when there is none. ``said``: seconds that the store asked for."""
        self.tries += 1
        pause = max(self._pause * (0.5 + self._jitter()), min(said or 0.0, 60.0))
        self._pause = min(self._pause * 2, _LONGEST)
        if self._clock.monotonic() + pause > self._end:
            return False
        self._clock.sleep(pause)
        return True


class Trying:
    """Of the store at ``url``. ``note`` hears from time to time that it is asked again. Thread-safe."""

    def __init__(
        self,
        url: str,
        options: Options,
        clock: Clock,
        note: Callable[[str], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.url, self.clock = url, clock
        self._options, self._note, self._jitter = options, note, jitter
        self._noted = -_QUIET

    def patience(self) -> Patience:
        return Patience(self._options.patience, self.clock, self._jitter)

    def once(self, send: Callable[[], Answer], patience: Patience, key: str | None, *, part: bool) -> Answer | None:
        """What ``send`` brings; None where it is to be sent again, after a pause. Raises as ``again``.

        ``part``: a body that broke off is an answer too, with its ``got`` and status 0.
        """
        try:
            return send()
        except Partial as error:
            if part and error.answer.got:
                error.answer.headers.setdefault("x-broken", str(error))
                error.answer.status = 0
                return error.answer
            self.again(patience, key, str(error))
        except Broken as error:
            if error.fresh:
                self.again(patience, key, str(error))
        return None

    def again(self, patience: Patience, key: str | None, said: str, *, throttled: bool = False, after: float | None = None) -> None:
        """Pauses. Raises StoreThrottled, StoreUnreachable when it was tried for long enough."""
        now = self.clock.monotonic()
        if self._note is not None and patience.tries >= 2 and now - self._noted >= _QUIET:
            self._noted = now
            self._note(f"{self.url} {'says that it is asked too much' if throttled else 'fails'}: it is asked again ({said}).")
        if patience.wait(after):
            return
        what = "" if key is None else f" at {shown(key)}"
        kind = StoreThrottled if throttled else StoreUnreachable
        hint = "Ask less at once (limits in the plan), or at another time." if throttled else "Look at the endpoint and the network."
        raise kind(f"{self.url} failed{what} in {patience.tries} tries: {said}", hint=hint, url=self.url, key=key)
