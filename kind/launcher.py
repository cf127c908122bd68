"""Runs one Python function for Whiskaway. See worker/protocol.md.

    python launcher.py FILE NAME

loads FILE, then calls its function NAME for each run that arrives on stdin,
and answers on file descriptor 3. Under OpenWhisk's own action proxy, which says
nothing of WHISKAWAY_CONCURRENCY, runs and answers are plain lines.
"""

import json
import os
import signal
import sys
from struct import Struct

RUN, CANCEL, HOLD, GO_ON = 3, 0, 1, 2  # to us
END, STDOUT, STDERR, RESULT = 0, 1, 2, 3  # from us
HEADER = Struct(">BxxxII")  # stream, length, run
decode = json.JSONDecoder().raw_decode
encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
STREAM_END = b'{"stream":true}'
LOG_FRAME = 1 << 20  # the most bytes of logs in one frame
MANY_RUNS = 2000  # from then on a process takes care not to grow with each run


def main():
    source, out = take_pipes()
    file, name = sys.argv[1:3]
    concurrency = int(os.environ.pop("WHISKAWAY_CONCURRENCY", "0"))
    in_lines, concurrency = concurrency == 0, max(concurrency, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    doing = ""
    try:
        guard = Guard(source) if concurrency == 1 else None
        signal.signal(signal.SIGINT, guard.interrupt if guard else lambda *_: None)
        module = load(file)
        function = find(module, name)
        doing = "setup: "
        set_up(module, name)
    except (Exception, SystemExit) as e:
        print_traceback(e)
        words = describe(e) + "; the code ends its process while it is loaded" * isinstance(e, SystemExit)
        write(out, to_json({"ok": False, "error": doing + words}) + b"\n")
        flush()
        os._exit(1)
    flush()
    if in_lines:
        serve_lines(source, out, function, guard)
        os._exit(0)
    write(out, b'{"ok":true,"whiskaway":1,"concurrency":%d}\n' % concurrency)
    if concurrency > 1:
        serve_many(source, out, function, concurrency)
    else:
        serve_one_by_one(lambda data: write(out, data), function, guard)
    flush()
    os._exit(0)  # the server is gone: do not wait for the function's threads


def take_pipes():
    """Keeps stdin and fd 3 for ourselves: neither the function nor a process
    that it starts can get between us and the server."""
    source, out = os.dup(0), os.dup(3)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.close(3)
    return source, out


# Loading


class Missing(Exception):
    """The code has no such function."""


def load(file):
    directory = os.path.dirname(file)
    sys.argv = [file]
    sys.path[0] = directory
    add_own_packages(directory)
    module = type(sys)("main__")  # not "__main__": the file is loaded, not executed
    module.__file__ = file
    sys.modules["main__"] = module
    with open(file, "rb") as f:
        code = compile(f.read(), file, "exec")
    exec(code, module.__dict__)
    return module


def find(module, name):
    function = getattr(module, name, None)
    if callable(function):
        return function
    names = sorted(n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == "main__")
    raise Missing(f"The action does not have a function named '{name}'; it has {', '.join(names) or 'none'}. Define it, or name another one as main.")


def set_up(module, name):
    """Calls the module's setup(), if it has one that is meant for us: a helper of
    the function's own that is called so needs arguments."""
    setup = getattr(module, "setup", None)
    if name == "setup" or not callable(setup):
        return
    import inspect

    try:
        inspect.signature(setup).bind()
    except (TypeError, ValueError):
        return
    result = setup()
    if hasattr(result, "__await__"):
        import asyncio

        async def wait():
            await result

        asyncio.run(wait())


def add_own_packages(directory):
    """Honours a virtualenv that came in the function's zip."""
    activate = os.path.join(directory, "virtualenv", "bin", "activate_this.py")
    if os.path.isfile(activate):
        with open(activate, "rb") as f:
            exec(compile(f.read(), activate, "exec"), {"__file__": activate, "__name__": "activate_this"})
        return
    if os.path.isdir(os.path.join(directory, "virtualenv")):
        import glob
        import site

        for packages in glob.glob(os.path.join(directory, "virtualenv", "lib", "python*", "site-packages")):
            site.addsitedir(packages)
            sys.path.remove(packages)
            sys.path.insert(1, packages)


# Frames


class Source:
    """What the server sends."""

    def __init__(self, fd):
        self.fd = fd
        self.data = b""  # read, and not yet taken

    def frames(self):
        """Yields (stream, run, payload) until the end of the input."""
        while True:
            while len(self.data) < 12:
                more = os.read(self.fd, 65536)
                if not more:
                    return
                self.data += more
            stream, length, run = HEADER.unpack_from(self.data)
            end = 12 + length
            if len(self.data) < end:
                self.data = read_rest(self.fd, self.data, end)
            payload = self.data[12:end]
            self.data = self.data[end:]
            yield stream, run, payload

    def has_cancelled(self, run):
        """Looks whether the next frame, if it is there, cancels the run."""
        import select

        while len(self.data) < 12 and select.select([self.fd], [], [], 0)[0]:
            more = os.read(self.fd, 65536)
            if not more:
                break
            self.data += more
        return self.data.startswith(HEADER.pack(CANCEL, 0, run))


def read_rest(fd, start, size):
    whole = bytearray(size)
    whole[: len(start)] = start
    view, at = memoryview(whole), len(start)
    while at < size:
        n = os.readv(fd, [view[at:]])
        if n == 0:
            os._exit(0)
        at += n
    return bytes(whole)


def frame(stream, run, payload):
    return HEADER.pack(stream, len(payload), run) + payload


def write(fd, data):
    n = os.write(fd, data)
    while n < len(data):
        data = memoryview(data)[n:]
        n = os.write(fd, data)


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (ValueError, OSError):
            pass  # the function closed it


# Interrupts


class Guard:
    """Lets SIGINT through to the function, and to nothing else: our own work is never
    left half done. For one run at a time, in the main thread.

    The server sends a frame that cancels the run, and then SIGINT. The
    next run waits for both, so none can hit the wrong one."""

    def __init__(self, source):
        self.source = Source(source)
        self.run = 0
        self.inside = False  # the function runs
        self.waiting = False  # a SIGINT came while it did not
        self.used = False  # one came while it did
        self.cancel = None  # cancels what an event loop runs
        self.bell = None  # sockets; a signal rings, so that a loop about to wait sees it

    def interrupt(self, *_):
        if not self.inside:
            self.waiting = True
            return
        self.used = True
        if not self.cancel:
            raise KeyboardInterrupt
        self.cancel()

    def begin(self, run):
        self.run, self.used = run, False

    def call(self, function, *args):
        try:
            self.inside = True
            if self.waiting:
                self.waiting = False
                if self.source.has_cancelled(self.run):
                    self.used = True
                    raise KeyboardInterrupt
            return function(*args)
        finally:
            self.inside = False

    def leave(self):
        self.inside = False  # an interrupt may have come just before call did this

    def is_cut(self):
        """Says whether the run's stream shall end. A handler of the function's own may
        have taken the SIGINT."""
        return self.used or self.source.has_cancelled(self.run)

    def await_turn(self):
        pass  # writing waits while nobody takes the items

    def watch(self, loop, task):
        self.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if not self.bell:
            import socket

            self.bell = socket.socketpair()
            for end in self.bell:
                end.setblocking(False)
        hears, rings = self.bell
        own = signal.set_wakeup_fd(rings.fileno(), warn_on_full_buffer=False)
        if own != -1:  # a loop of the function's choice, with a bell of its own
            signal.set_wakeup_fd(own)
        else:
            loop.add_reader(hears, hears.recv, 4096)

    def unwatch(self):
        self.cancel = None
        if self.bell and (own := signal.set_wakeup_fd(-1)) not in (-1, self.bell[1].fileno()):
            signal.set_wakeup_fd(own)

    def await_interrupt(self):
        """Waits for the SIGINT that follows the frame, unless the function took it, or
        a handler of its own does."""
        import time

        over = time.monotonic() + 1
        while not self.used and not self.waiting and time.monotonic() < over:
            if signal.getsignal(signal.SIGINT) != self.interrupt:
                return
            time.sleep(0.001)
        self.waiting = False


class ThreadGuard:
    """Lets an interrupt through to the function of one run, which runs in a thread."""

    def __init__(self):
        import threading

        self.lock = threading.Lock()
        self.thread = threading.get_ident
        self.inside = None  # the thread's id while the function runs
        self.cancelled = False
        self.raised = False  # in the thread, or about to be
        self.cancel = None
        self.turn = None  # an Event once the server has held the run's items

    def interrupt(self):
        with self.lock:
            if self.cancelled:
                return
            self.cancelled = True
            if self.turn:
                self.turn.set()
            if self.cancel:
                self.cancel()
            elif self.inside:
                self.raised = True
                raise_in(self.inside, KeyboardInterrupt)

    def call(self, function, *args):
        try:
            with self.lock:
                if self.cancelled and not self.raised:
                    self.raised = True
                    raise KeyboardInterrupt
                self.inside = self.thread()
            return function(*args)
        finally:
            self.leave()

    def leave(self):
        with self.lock:
            if self.inside and self.raised:
                raise_in(self.inside, None)  # it may not have come through yet
            self.inside = None

    def is_cut(self):
        return self.cancelled

    def hold(self):
        """Makes the stream wait before its next item, until it may go on."""
        import threading

        with self.lock:
            if self.cancelled:
                return
            self.turn = self.turn or threading.Event()
            self.turn.clear()

    def go_on(self):
        if self.turn:
            self.turn.set()

    def await_turn(self):
        if self.turn:
            self.turn.wait()

    def watch(self, loop, task):
        with self.lock:
            self.cancel = lambda: loop.call_soon_threadsafe(task.cancel)

    def unwatch(self):
        with self.lock:
            self.cancel = None


def raise_in(thread, exception):
    """Raises the exception in another thread as soon as it runs Python code; None
    takes it back."""
    try:
        import ctypes
    except ImportError:  # a Python without it: the thread goes on
        return
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(exception) if exception else None
    )


# One run


def handle(body, function, set_fields, send, run, guard):
    """Calls the function, and sends its answer."""
    try:
        fields = from_json(body)
        if type(fields) is not dict:
            raise ValueError("the run's body is JSON, but not an object with the input as its value")
        value = fields.pop("value", {})
        set_fields(fields)
        result = guard.call(function, value)
        if type(result) is not dict:
            result = settle(result, guard)
            if is_iterator(result):
                return send_items(result, send, run, guard)
        answer = to_json(result)
    except SystemExit:
        raise
    except BaseException as e:
        guard.leave()
        print_traceback(e)
        answer = to_json({"error": describe(e)})
    flush()
    send(frame(RESULT, run, answer) + frame(END, run, b""))


def settle(result, guard):
    """Waits for the result of an async function."""
    if hasattr(result, "__await__"):
        import asyncio

        async def wait():
            guard.watch(asyncio.get_running_loop(), asyncio.current_task())
            try:
                return await result
            finally:
                guard.unwatch()

        return guard.call(asyncio.run, wait())
    return result


def is_iterator(result):
    return hasattr(result, "__next__") or hasattr(result, "__anext__")


def send_items(items, send, run, guard):
    """Sends each item as it comes. An exception becomes the last item."""
    items = synchronous(items, guard) if hasattr(items, "__anext__") else items
    try:
        last = send_all(items, send, run, guard)
    except SystemExit:
        raise
    except BaseException as e:
        guard.leave()
        close(items)
        print_traceback(e)
        last = frame(RESULT, run, to_json({"error": describe(e)}))
    flush()
    send(last + frame(END, run, STREAM_END))


def send_all(items, send, run, guard):
    """Sends the items until there is none, or the run is cut. What a generator returns is
    left for the caller to send, as the last item."""
    while not guard.is_cut():
        item, ended = guard.call(next_item, items)
        if ended:
            return b"" if item is None else frame(RESULT, run, to_json({"result": item}))
        answer = to_json(item)
        flush()
        send(frame(RESULT, run, answer))
        guard.await_turn()
    close(items)
    return b""


def next_item(items):
    """Returns the next item and False, or what a generator returned and True."""
    try:
        return next(items), False
    except StopIteration as end:
        return end.value, True


def close(items):
    """Lets a generator that was interrupted between two items clean up."""
    try:
        if hasattr(items, "throw"):
            items.close()
    except Exception as e:
        print_traceback(e)


def synchronous(items, guard):
    """Turns an async generator into a plain one."""
    import asyncio

    async def step():
        return await items.__anext__()

    loop = asyncio.new_event_loop()
    try:
        while True:
            task = loop.create_task(step())
            guard.watch(loop, task)
            try:
                item = loop.run_until_complete(task)
            except StopAsyncIteration:
                return
            finally:
                guard.unwatch()
            yield item
    finally:
        try:
            if hasattr(items, "aclose"):
                loop.run_until_complete(items.aclose())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


def from_json(data):
    """json.loads, which first asks what encoding and what spaces there are. Nearly
    always there is nothing to ask."""
    try:
        text = data.decode()
        value, end = decode(text)
        if end == len(text):
            return value
    except ValueError:
        pass
    return json.loads(data)


def quick_encoder():
    """The function that JSONEncoder makes anew for each value, where Python has it in C. As it
    takes no note of what it is in, threads can share it, and a circle is too deep for it."""
    try:
        return json.encoder.c_make_encoder(
            None, encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False
        )
    except (AttributeError, TypeError):  # another Python
        return lambda value, _: (encoder.encode(value),)


encode = quick_encoder()


def quick_json(value):
    try:
        return "".join(encode(value, 0))
    except RecursionError:
        return None


def to_json(value):
    text = quick_json(value)
    if text is None:
        text = encoder.encode(value)  # which says so when it is a circle
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair can only be sent escaped
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def describe(e):
    if isinstance(e, Missing):
        return str(e)
    return f"{type(e).__name__}: {e}" if str(e) else type(e).__name__


def print_traceback(e):
    """Prints the traceback without our own frames and those of the event loop."""
    import traceback

    if isinstance(e, Missing):
        print(e, file=sys.stderr)
        return
    first = tb = e.__traceback__
    while tb:
        if leads_to_function(tb):
            first = tb.tb_next
        elif tb.tb_next and is_ours(tb.tb_next) and not leads_to_function(tb.tb_next):
            tb.tb_next = None
        tb = tb.tb_next
    traceback.print_exception(type(e), e, None if first and is_ours(first) else first)


# Our functions that lead to the function's own.
CALLERS = {
    *("main", "load", "find", "set_up", "handle", "call", "settle", "wait", "to_json"),
    *("send_items", "send_all", "next_item", "close", "synchronous", "step", "quick_json"),
}


def is_ours(tb):
    return tb.tb_frame.f_code.co_filename == __file__


def leads_to_function(tb):
    return is_ours(tb) and tb.tb_frame.f_code.co_name in CALLERS


def variable(field):
    return "__OW_" + field.upper()


def as_text(value):
    return value if type(value) is str else to_json(value).decode()


def variables(fields):
    """The fields of a run's body as environment variables."""
    return {variable(field): as_text(value) for field, value in fields.items()}


class Variables:
    """Sets the environment's variables for one run after another, as far as they change:
    nearly always all runs have the same fields, and most of these the same values."""

    def __init__(self, environ):
        self.environ = environ
        self.change = environ.__setitem__
        self.runs = 0
        self.set = set()  # the names that we have set
        self.names = {}  # of the last run's fields; none where two have the same, or setting one failed
        self.fields = {}  # the last run's

    def update(self, fields):
        self.runs += 1
        if self.runs == MANY_RUNS:
            self.change = change_in_place(self.environ) or self.change
        names, before = self.names, self.fields
        self.names, self.fields = {}, fields
        if not names or fields.keys() != names.keys():
            self.replace(fields)
            return
        for field, value in fields.items():
            if value != before[field] or type(value) is not str:
                self.change(names[field], as_text(value))
        self.names = names

    def replace(self, fields):
        new = variables(fields)
        for name in self.set - new.keys():
            self.environ.pop(name, None)
        self.set |= new.keys()
        self.environ.update(new)
        self.set = set(new)
        if len(new) == len(fields):
            self.names = {field: variable(field) for field in fields}


def change_in_place(environ):
    """Returns a function that sets a variable as os.environ does, but in memory that is used again. The C
    library keeps every value that a variable ever had: with an id for each run that is
    a megabyte for each ten thousand runs or so. None: it cannot be had here."""
    try:
        import ctypes  # not before: it takes time and memory that few functions need to spend

        putenv, buffer_of, data = ctypes.CDLL(None).putenv, ctypes.create_string_buffer, environ._data
        encode_name, encode_value = environ.encodekey, environ.encodevalue
    except (ImportError, OSError, AttributeError):
        return None
    buffers = {}  # the environment points into them

    def change(name, value):
        key, text = encode_name(name), encode_value(value)
        entry = key + b"=" + text
        if b"\0" in entry:
            raise ValueError("embedded null byte")
        buffer = buffers.get(name)
        if buffer is None or len(buffer) <= len(entry):
            buffer = buffer_of(entry, 2 * len(entry) + 64)
        buffer.value = entry
        putenv(buffer)  # also when it is there already: the function may have set or removed it
        buffers[name] = buffer  # the one before is let go of now
        data[key] = text

    return change


# One run at a time


def serve_one_by_one(send, function, guard):
    set_fields = Variables(os.environ).update
    for stream, run, body in guard.source.frames():
        if stream == RUN:
            guard.begin(run)
            handle(body, function, set_fields, send, run, guard)
        elif stream == CANCEL:  # of the last run
            guard.await_interrupt()


# Runs that overlap: each in a thread


def serve_many(source, out, function, concurrency):
    import contextvars
    import threading
    from concurrent.futures import ThreadPoolExecutor

    current_run = contextvars.ContextVar("current_run", default=None)
    current_fields = contextvars.ContextVar("current_fields", default={})
    lock = threading.Lock()
    writer = open(out, "wb", closefd=False)  # writes all of a frame, whatever is raised in the thread
    guards = {}

    def send(data):
        with lock:
            writer.write(data)
            writer.flush()

    def set_fields(fields):
        current_fields.set(variables(fields))

    def start(run, body):
        current_run.set(run)
        try:
            handle(body, function, set_fields, send, run, guards[run])
        except BaseException as e:  # sys.exit ends the worker, as it does without threads
            flush()
            os._exit(e.code if isinstance(e, SystemExit) and isinstance(e.code, int) else 1)
        finally:
            del guards[run]

    sys.stdout = tagged(sys.stdout, STDOUT, current_run, send)
    sys.stderr = tagged(sys.stderr, STDERR, current_run, send)
    os.environ = overlaid(os.environ, current_fields)
    with ThreadPoolExecutor(concurrency) as pool:
        for stream, run, body in Source(source).frames():
            if stream == RUN:
                guards[run] = ThreadGuard()
                pool.submit(contextvars.Context().run, start, run, body)
            elif guard := guards.get(run):
                {CANCEL: guard.interrupt, HOLD: guard.hold, GO_ON: guard.go_on}[stream]()


def tagged(plain, stream, current_run, send):
    """A text stream whose lines carry the run that wrote them."""
    import io

    class Tagged(io.TextIOBase):
        encoding, errors = plain.encoding, plain.errors
        pending = {}  # each run's line that has not ended

        def writable(self):
            return True

        def fileno(self):
            return plain.fileno()

        def write(self, text):
            run = current_run.get()
            if run is None:
                return plain.write(text)
            line = self.pending.pop(run, "") + text
            if "\n" in text:
                whole, line = line[: line.rindex("\n") + 1], line[line.rindex("\n") + 1 :]
                self.send(run, whole)
            if line:
                self.pending[run] = line
            return len(text)

        def flush(self):
            run = current_run.get()
            if run is None:
                plain.flush()
            elif run in self.pending:
                self.send(run, self.pending.pop(run))

        def send(self, run, text):
            data = text.encode(errors="backslashreplace")
            for at in range(0, len(data), LOG_FRAME):
                send(frame(stream, run, data[at : at + LOG_FRAME]))

    return Tagged()


def overlaid(environ, current_fields):
    """os.environ, with the variables of the run that asks on top."""

    class Overlaid(type(environ)):
        def __getitem__(self, name):
            fields = current_fields.get()
            return fields[name] if name in fields else super().__getitem__(name)

        def __iter__(self):
            yield from current_fields.get()
            yield from (n for n in super().__iter__() if n not in current_fields.get())

        def __len__(self):
            return sum(1 for _ in self)

    e = environ
    return Overlaid(e._data, e.encodekey, e.decodekey, e.encodevalue, e.decodevalue)



# A plain ActionLoop: a run is a line, and so is its answer


def serve_lines(source, out, function, guard):
    """Serves OpenWhisk's own action proxy, and whoever else speaks in lines."""
    items = []

    def send(data):
        at = 0
        while at < len(data):
            stream, length, _ = HEADER.unpack_from(data, at)
            payload = data[at + 12 : at + 12 + length]
            at += 12 + length
            if stream == RESULT:
                items.append(payload)
            elif stream == END:
                write(out, (collect(items) if payload else items[0]) + b"\n")
                items.clear()

    if os.environ.get("__OW_WAIT_FOR_ACK"):
        write(out, b'{"ok":true}\n')
    guard.source = Lines(source)
    serve_one_by_one(send, function, guard)
    flush()


def collect(items):
    """The one object that a stream comes to. See stream/doc.go."""
    last = json.loads(items[-1]) if items else None
    if type(last) is dict and len(last) == 1:
        if "error" in last:
            return items[-1]
        if type(last.get("result")) in (dict, list):
            return items[-1][len(b'{"result":') : -1]
    return b'{"items":[%s]}' % b",".join(items)


class Lines:
    """Runs as lines, in the place of a Source. Nobody cancels them."""

    def __init__(self, fd):
        self.lines = open(fd, "rb")

    def frames(self):
        for run, line in enumerate(self.lines):
            yield RUN, run, line

    def has_cancelled(self, run):
        return False


if __name__ == "__main__":
    main()
