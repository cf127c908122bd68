// Package gpu finds out which GPUs this machine has, by asking nvidia-smi.
//
// What must hold here: a machine without GPUs, or without the tool, is an
// ordinary machine and no error; looking never takes longer than detectTimeout.
package gpu
