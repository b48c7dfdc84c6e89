package pins

// Limits of what a client may say.
const (
	MaxCIDs      = 10
	MaxName      = 255 // characters
	MaxMeta      = 1000
	MaxMetaBytes = 64 << 10
	MaxOrigins   = 20
	MaxLimit     = 1000
	DefaultLimit = 10
)
