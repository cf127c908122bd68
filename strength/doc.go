// Package strength measures how strong a machine is, so that unequal machines become
// comparable numbers: one CPU, and each GPU. 1 is a reference that the files name, 2 is
// twice as fast, 0 was not measured.
//
// What must hold here: it costs a start less than 100 ms for the CPU, and for GPUs a few
// seconds; both only when the processor, the GPU or its driver is another than at the last
// start. A machine on which something cannot be measured is an ordinary machine.
// No memory of a GPU is held when Of returns, and no process is left.
package strength
