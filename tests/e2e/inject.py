# SPDX-License-Identifier: GPL-3.0-or-later
# inject - a system call made in another process, by ptrace(2): what may it do?
#
# The process is stopped inside a call of its own, so its instruction pointer stands
# behind a syscall instruction: that is carried out once more with other registers,
# and all is put back. x86-64 only.

import contextlib
import ctypes
import os
import platform
import signal

from e2e.world import Skip

ATTACH, DETACH, SINGLESTEP, GETREGS, SETREGS = 16, 17, 9, 12, 13
RED_ZONE, NAMES = 128, 4096
OPENAT, SOCKET, GETPID, EXECVE, LANDLOCK_CREATE_RULESET = 257, 41, 39, 59, 444

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in
                ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
                 "fs_base gs_base ds es fs gs").split()]


def landlock():
    """The running kernel's version of it; below 0: none."""
    return libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


@contextlib.contextmanager
def stopped(tid):
    if platform.machine() != "x86_64":
        raise Skip("calls are injected on x86-64 only")
    ptrace(ATTACH, tid)
    os.waitpid(tid, 0x40000000)     # __WALL
    saved = Registers()
    ptrace(GETREGS, tid, ctypes.addressof(saved))
    try:
        yield saved
    finally:
        # In a call that was interrupted the kernel begins it again by orig_rax.
        with contextlib.suppress(OSError):
            ptrace(SETREGS, tid, ctypes.addressof(saved))
            ptrace(DETACH, tid)


def call(tid, saved, number, *arguments):
    """What it answers: >= 0 or -errno. A name: of the signal that killed it for it."""
    registers = Registers.from_buffer_copy(saved)
    registers.rip -= 2              # 0f 05
    registers.orig_rax = 2**64 - 1  # no call to begin again
    registers.rax = number
    for name, value in zip(("rdi", "rsi", "rdx", "r10"), arguments):
        setattr(registers, name, value % 2**64)
    ptrace(SETREGS, tid, ctypes.addressof(registers))
    ptrace(SINGLESTEP, tid)
    _, status = os.waitpid(tid, 0x40000000)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    ptrace(GETREGS, tid, ctypes.addressof(registers))
    return ctypes.c_longlong(registers.rax).value


def open_file(tid, saved, path, flags=os.O_RDONLY):
    """openat(2) there; the path is put below its stack."""
    place = (saved.rsp - RED_ZONE - NAMES) & ~15
    with open(f"/proc/{tid}/mem", "r+b", buffering=0) as memory:
        memory.seek(place)
        before = memory.read(NAMES)
        memory.seek(place)
        memory.write(path.encode() + b"\0")
        answer = call(tid, saved, OPENAT, -100, place, flags, 0o600)
        memory.seek(place)
        memory.write(before)
    return answer
