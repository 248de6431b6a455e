"""What ERROR_CODE says; the driver's texts are in ``hwgen.driver.errors``."""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Why a frame ended early."""

    NONE = 0
    READ_BUS = 1  #: a read answered SLVERR or DECERR
    WRITE_BUS = 2  #: a write answered SLVERR or DECERR
    TAG = 3  #: a segment's tag is wrong; ERROR_SEGMENT names it
    PROGRAM = 4  #: the program header does not fit this hardware
    WATCHDOG = 5  #: the frame took longer than WATCHDOG cycles
    NO_KEY = 6  #: no key was committed
    VERSION = 7  #: IMAGE_VERSION is below MIN_VERSION
    ABORTED = 8  #: soft reset while busy
    ZEROISED = 9  #: zeroise while busy
    ROW = 10  #: the tag of a row of a feature map in the scratch buffer is wrong; ERROR_SEGMENT says where it lies
