// Package gpu finds out which GPUs this machine has and who holds their
// memory, and chooses GPUs for functions.
//
// A Source asks the driver: by NVML where this program was built with the tag
// nvml, else by nvidia-smi. A Monitor keeps what a source says. Place chooses,
// and Env tells a function what it was granted.
//
// What must hold here: a machine without GPUs, or without a driver, is an
// ordinary machine; a driver that hangs, vanishes or says nonsense delays
// nobody beyond a time limit, and costs no more than the GPUs; no nvidia-smi
// outlives its source. Nothing here asks for more than reading: no setting of
// a GPU is ever changed.
package gpu
