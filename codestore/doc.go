// Package codestore keeps uploaded code on disk, by the SHA-256 of its bytes.
//
// The storage is shared, the right is not: code counts as present only for the
// namespaces that uploaded it themselves. Of many of one namespace who need the
// same code at the same moment one is asked to send it, and the others wait.
//
// What must hold here: a file is complete and verified before it can be found;
// code in use is never evicted; the store never grows above its limit; what is
// found after a restart is verified again before it is handed out; nobody waits
// for somebody who does not send, nor for another namespace. One process
// at a time uses a directory, which is for its caller to see to.
package codestore
