// Package openserverless speaks the protocol between the client mode and the
// server mode of Apache OpenServerless's runtimes, from both sides: Face is what
// their clients call, put before a function.Host, and Client is a function.Host
// over a server of theirs.
//
// In that protocol a client names itself by a proxiedActionID, and the code by its
// md5, the actionCodeHash. It knows no tokens, no renewal and no digest.
//
// What must hold here:
//   - Both names are only names. Which function is meant follows from what the
//     Face has been given at /init: its Spec, with the code's SHA-256. A name
//     that could mean two functions is refused; nothing is guessed.
//   - A client's /stop, its silence or its end touch no other client.
//   - What the platform sent as value, and what the function answered, pass byte
//     for byte.
//   - A run's logs are in the answer of that run, and in no other.
//   - A run is never repeated, unless the Host said that it never started.
//   - No token is ever sent by the Client.
package openserverless
