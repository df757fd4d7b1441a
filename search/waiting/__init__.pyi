from .waiting import Waiting as Waiting
from .waiting import waited_for as waited_for
from .waiting import waiting_now as waiting_now
from .waiting import waits as waits
