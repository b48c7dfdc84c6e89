// Package compose holds the tests of docker-compose.yml, of the Dockerfile and
// of the start script in its image.
//
// No container is started, also where Docker answers: the compose file is read
// by the library that Docker Compose reads it with (tools/compose), and the
// start script and the service run as plain processes with the environment
// that the compose file gives them.
//
// The service is built as it is everywhere here, with cgo. The Dockerfile
// builds it without (CGO_ENABLED=0 -trimpath): that would compile all of its
// 1,100 packages once more, which takes minutes, and is not done by a test.
package compose
