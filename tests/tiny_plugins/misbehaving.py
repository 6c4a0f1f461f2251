"""Backends that train as NumPy does and then do one thing no backend should, in their fifth minibatch."""

import atexit
import ctypes
import fcntl
import os
import signal
import stat
import sys
import time

from harness.contracts.hooks import Backend, hookimpl

REQUIREMENTS = ("numpy>=1.26",)


def raise_error():
    raise RuntimeError("the fifth minibatch\nis my last\n" + 1000 * "and so on\n")


def raise_undecodable():
    raise OSError("no such file: \udcff\x00\x1b[31m")


def run_out_of_memory():
    raise MemoryError


def hang():
    time.sleep(3600)


def hang_deafly():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)


def hang_in_compiled_code():
    ctypes.PyDLL(None).sleep(3600)  # and holds the GIL


def exit_at_once():
    print("going")
    os._exit(3)


def exit_politely():
    sys.exit("I have had enough")


def exit_as_if_done():
    os._exit(0)


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def leave_a_child():
    if os.fork() == 0:
        time.sleep(3600)
        os._exit(0)
    kill_itself()


def hang_with_a_child():
    os.fork()
    time.sleep(3600)


def hang_at_exit():
    atexit.register(time.sleep, 3600)


def crash_at_exit():
    atexit.register(os.abort)


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def chatter():
    for thousand in range(1_000):
        print("\n".join(f"line {thousand * 1_000 + number}" for number in range(1_000)))
    os.write(1, b"not \xff\xfe UTF-8\n")


def write_rubbish(rubbish=b"\xff\xfe rubbish\n"):
    for fd in range(3, 64):
        if _is_pipe_to_write(fd):
            os.write(fd, rubbish)


def write_odd_event():
    write_rubbish(b'{"event": "progress", "epoch": "one", "fraction": null, "loss": [], "tokens_per_s": {}}\n')


def write_endlessly():
    write_rubbish(b"x" * (1 << 25))


def _is_pipe_to_write(fd):
    try:
        mode, flags = os.fstat(fd).st_mode, fcntl.fcntl(fd, fcntl.F_GETFL)
    except OSError:
        return False
    return stat.S_ISFIFO(mode) and flags & os.O_ACCMODE == os.O_WRONLY


DEEDS = {
    function.__name__.replace("_", "-"): function
    for function in (
        raise_error,
        raise_undecodable,
        run_out_of_memory,
        hang,
        hang_deafly,
        hang_in_compiled_code,
        exit_at_once,
        exit_politely,
        exit_as_if_done,
        kill_itself,
        leave_a_child,
        hang_with_a_child,
        hang_at_exit,
        crash_at_exit,
        crash,
        chatter,
        write_rubbish,
        write_odd_event,
        write_endlessly,
    )
}


def _builder(deed):
    def build(device, num_threads):
        from harness_numpy.backend import NumpyBackend

        class Misbehaving(NumpyBackend):
            def scratch(self, equations, architecture, training):
                model = super().scratch(equations, architecture, training)
                train_step = model.train_step
                steps = iter(range(1, 1_000_000))

                def misbehave(*minibatch):
                    if next(steps) == 5:
                        deed()
                    return train_step(*minibatch)

                model.train_step = misbehave
                return model

        return Misbehaving(device, num_threads)

    return build


globals().update({function.__name__ + "_builder": _builder(function) for function in DEEDS.values()})


def lose_track(device, num_threads):
    """Build models whose loss is not a number from the second epoch on."""
    from harness_numpy.backend import NumpyBackend

    class Lost(NumpyBackend):
        def scratch(self, equations, architecture, training):
            model = super().scratch(equations, architecture, training)
            begin_epoch, train_step = model.begin_epoch, model.train_step
            epochs = []

            def begin(epoch):
                epochs.append(epoch)
                begin_epoch(epoch)

            def step(*minibatch):
                (_, *figures), state = train_step(*minibatch)
                return (float("nan") if epochs[-1] > 1 else 1.0, *figures), state

            model.begin_epoch, model.train_step = begin, step
            return model

    return Lost(device, num_threads)


@hookimpl
def harness_backends():
    deeds = [
        Backend(name=name, title=name, requirements=REQUIREMENTS, target=f"misbehaving:{function.__name__}_builder")
        for name, function in DEEDS.items()
    ]
    return [*deeds, Backend(name="lose-track", title="NaN", requirements=REQUIREMENTS, target="misbehaving:lose_track")]
