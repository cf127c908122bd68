# Measures NVIDIA GPUs by the driver's own library, and prints a line of JSON for each:
# {"uuid": "GPU-...", "bandwidth": bytes a second, "flops": operations a second}.
# The arguments are the UUIDs of those to measure. What fails is said on stderr, and costs
# that GPU's line only. The functions and constants are from NVIDIA's "CUDA Driver API".
import ctypes
import json
import os
import sys
import threading
from ctypes import byref, c_float, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p

COPY = 256 << 20  # bytes of one copy, at most; a quarter of what is free where that is less
REPEATS = 5       # the best counts
ROUNDS = 4096     # of 32 multiplications with an addition, in each thread
THREADS = 256     # of one block
BLOCKS = 8        # of one multiprocessor
MULTIPROCESSORS = 16  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT

ACCUMULATORS = 8
FMAS = "\n".join(f"fma.rn.f32 %a{i}, %a{i}, 0f3F7FBE77, 0f3A83126F;" for i in range(ACCUMULATORS)) + "\n"
SEEDS = "\n".join(f"add.f32 %a{i}, %f0, 0f{0x3F800000 + (i << 20):08X};" for i in range(ACCUMULATORS))
SUM = "\n".join(f"add.f32 %f0, %f0, %a{i};" for i in range(ACCUMULATORS))
KERNEL = f"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry work(.param .u64 out, .param .u32 rounds)
{{
.reg .f32 %a<{ACCUMULATORS}>;
.reg .f32 %f<1>;
.reg .u32 %r<5>;
.reg .u64 %d<3>;
.reg .pred %p;
ld.param.u64 %d0, [out];
ld.param.u32 %r0, [rounds];
mov.u32 %r1, %ctaid.x;
mov.u32 %r2, %ntid.x;
mov.u32 %r3, %tid.x;
mad.lo.u32 %r4, %r1, %r2, %r3;
cvt.rn.f32.u32 %f0, %r4;
{SEEDS}
again:
{FMAS * (32 // ACCUMULATORS)}
sub.u32 %r0, %r0, 1;
setp.ne.u32 %p, %r0, 0;
@%p bra again;
{SUM}
cvta.to.global.u64 %d0, %d0;
mul.wide.u32 %d1, %r4, 4;
add.u64 %d2, %d0, %d1;
st.global.f32 [%d2], %f0;
ret;
}}
"""


def end_with_parent():
    """Whoever started this holds the other end of stdin: no process is left when it is killed."""
    os.read(0, 1)
    os._exit(1)


def call(name, *args):
    result = getattr(cuda, name)(*args)
    if result != 0:
        raise RuntimeError(f"{name} answers {result}")


def best(work):
    """The shortest time of the work, in seconds, as the GPU itself measures it."""
    start, end = c_void_p(), c_void_p()
    call("cuEventCreate", byref(start), 0)
    call("cuEventCreate", byref(end), 0)
    shortest = float("inf")
    try:
        for _ in range(REPEATS + 1):  # the first one warms up
            call("cuEventRecord", start, None)
            work()
            call("cuEventRecord", end, None)
            call("cuEventSynchronize", end)
            ms = c_float()
            call("cuEventElapsedTime", byref(ms), start, end)
            shortest = min(shortest, ms.value / 1000)
    finally:
        call("cuEventDestroy_v2", start)
        call("cuEventDestroy_v2", end)
    return shortest


def allocated(size):
    memory = c_uint64()
    call("cuMemAlloc_v2", byref(memory), c_size_t(size))
    return memory


def bandwidth():
    free, total = c_size_t(), c_size_t()
    call("cuMemGetInfo_v2", byref(free), byref(total))
    size = min(COPY, free.value // 4)
    source = allocated(size)
    try:
        target = allocated(size)
        try:
            seconds = best(lambda: call("cuMemcpyDtoDAsync_v2", target, source, c_size_t(size), None))
        finally:
            call("cuMemFree_v2", target)
    finally:
        call("cuMemFree_v2", source)
    return 2 * size / seconds  # it reads and writes


def flops(device):
    count = c_int()
    call("cuDeviceGetAttribute", byref(count), MULTIPROCESSORS, device)
    blocks = count.value * BLOCKS
    module, work = c_void_p(), c_void_p()
    call("cuModuleLoadData", byref(module), ctypes.c_char_p(KERNEL.encode()))
    call("cuModuleGetFunction", byref(work), module, b"work")
    out, rounds = allocated(blocks * THREADS * 4), c_uint(ROUNDS)
    args = (c_void_p * 2)(ctypes.addressof(out), ctypes.addressof(rounds))
    try:
        seconds = best(lambda: call("cuLaunchKernel", work, blocks, 1, 1, THREADS, 1, 1, 0, None, args, None))
    finally:
        call("cuMemFree_v2", out)
    return 2 * 32 * ROUNDS * blocks * THREADS / seconds


def uuid_of(device):
    raw = (c_ubyte * 16)()
    call("cuDeviceGetUuid", raw, device)
    text = bytes(raw).hex()
    return "GPU-" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def measure(device, uuid):
    context = c_void_p()
    call("cuDevicePrimaryCtxRetain", byref(context), device)
    try:
        call("cuCtxSetCurrent", context)
        print(json.dumps({"uuid": uuid, "bandwidth": bandwidth(), "flops": flops(device)}), flush=True)
    finally:
        call("cuCtxSetCurrent", None)
        call("cuDevicePrimaryCtxRelease", device)


def main(wanted):
    call("cuInit", 0)
    count = c_int()
    call("cuDeviceGetCount", byref(count))
    for index in range(count.value):
        device = c_int()
        try:
            call("cuDeviceGet", byref(device), index)
            uuid = uuid_of(device)
            if uuid in wanted:
                measure(device, uuid)
        except (RuntimeError, AttributeError) as e:
            print(f"GPU {index}: {e}", file=sys.stderr)


threading.Thread(target=end_with_parent, daemon=True).start()
try:
    cuda = ctypes.CDLL("libcuda.so.1")
    main(sys.argv[1:])
except (OSError, RuntimeError, AttributeError) as e:  # no library, no GPU, or one too old
    sys.exit(str(e))
