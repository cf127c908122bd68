// Package initbody reads the bodies of OpenWhisk's /init, which carry a
// function's code as a JSON string of up to dozens of megabytes.
//
// What must hold here:
//   - The code is never in memory as a whole: it goes to a file as it comes.
//   - What is taken is what encoding/json would read in the same body.
//   - A body that is refused leaves nothing on disk, and the error names no value
//     of it: any may be secret.
package initbody
