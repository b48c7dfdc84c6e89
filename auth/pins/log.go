package pins

import logging "github.com/ipfs/go-log/v2"

var logger = logging.Logger("pins")
