// Package codestore keeps uploaded code on disk, by the SHA-256 of its bytes.
//
// The storage is shared, the right is not: code counts as present only for the
// namespaces that uploaded it themselves.
//
// What must hold here: a file is complete and verified before it can be found;
// code in use is never evicted; the store never grows above its limit; what is
// found after a restart is verified again before it is handed out. One process
// at a time uses a directory, which is for its caller to see to.
package codestore
