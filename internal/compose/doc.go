// Package compose holds the tests of docker-compose.yml, of the Dockerfile, and
// of the start scripts and the gateway's configuration in its image.
//
// No container is started, also where Docker answers: the compose file is read
// by the library that Docker Compose reads it with (tools/compose), and the
// start scripts and the programs run as plain processes with the environment
// that the compose file gives them. A real Keycloak imports the realm of the
// compose file with TEST_LONG=1.
//
// The programs are built as they are everywhere here, with cgo. The Dockerfile
// builds them without (CGO_ENABLED=0 -trimpath): that would compile all of its
// 1,100 packages once more, which takes minutes, and is not done by a test.
package compose
