"""A bus without hardware: registers and memory as dictionaries, frames by a function."""

from hwgen.driver import register_map as reg


class FakeBuffer:
    """Memory."""

    def __init__(self, address, size):
        self.address, self.size, self.data, self.freed = address, size, bytearray(size), False

    def write(self, data, offset=0):
        assert offset + len(data) <= self.size and not self.freed
        self.data[offset:offset + len(data)] = data

    def read(self, size, offset=0):
        assert not self.freed
        return bytes(self.data[offset:offset + size])

    def free(self):
        self.freed = True


class FakeBus:
    """Remembers every write; ``frame(bus)`` is called at a start and returns an error code."""

    def __init__(self, frame=lambda bus: 0, key_bits=128):
        self.registers = {reg.ID: reg.IDENTIFICATION, reg.VERSION: reg.REGISTER_VERSION | 1 << 8,
                          reg.CONFIG0: (key_bits == 256) << 21, reg.ENGINES: 1}
        self.frame, self.buffers, self.writes, self.irq, self.takes_keys = frame, [], [], False, True

    def read32(self, offset):
        return self.registers.get(offset, 0)

    def write32(self, offset, value):
        assert 0 <= value < 1 << 32 and offset % 4 == 0
        self.writes.append((offset, value))
        if offset == reg.IRQ_STATUS:
            self.registers[offset] = self.registers.get(offset, 0) & ~value
        elif offset == reg.KEY_CONTROL:
            if value == 1 and self.takes_keys:
                self.registers[reg.STATUS] = self.registers.get(reg.STATUS, 0) | 1 << reg.STATUS_KEY_LOADED
            self.takes_keys &= value != 2
        elif offset == reg.CONTROL and value & 1:
            code = self.frame(self)
            self.registers[reg.ERROR_CODE] = code
            self.registers[reg.IRQ_STATUS] = 2 if code else 1
            self.irq = code is not None
        else:
            self.registers[offset] = value

    def alloc(self, size):
        self.buffers.append(FakeBuffer(0x10_0000_0000 + 0x100000 * len(self.buffers), size))
        return self.buffers[-1]

    def wait_irq(self, timeout):
        return self.irq


class FakeSystem:
    """Several fake engines on one memory; a frame ends after so many waits for the interrupt."""

    def __init__(self, engines, durations, frame):
        self.engines = [FakeBus(frame) for _ in range(engines)]
        self.buffers, self.durations = [], list(durations)
        self.left = {}
        for bus in self.engines:
            bus.registers[reg.ENGINES] = engines
            bus.buffers = []

    def _at(self, offset):
        return self.engines[offset // reg.WINDOW_BYTES], offset % reg.WINDOW_BYTES

    def read32(self, offset):
        bus, register = self._at(offset)
        if register == reg.IRQ_STATUS and self.left.get(bus, 0):
            return 0
        return bus.read32(register)

    def write32(self, offset, value):
        bus, register = self._at(offset)
        if register == reg.CONTROL and value & 1:
            self.left[bus] = self.durations.pop(0) if self.durations else 1
        elif register == reg.IRQ_STATUS:
            self.left.pop(bus, None)
        bus.write32(register, value)

    def alloc(self, size):
        self.buffers.append(FakeBuffer(0x10_0000_0000 + 0x100000 * len(self.buffers), size))
        return self.buffers[-1]

    def wait_irq(self, timeout):
        if not self.left:
            return False
        first = min(self.left.values())
        self.left = {bus: cycles - first for bus, cycles in self.left.items()}
        return True
