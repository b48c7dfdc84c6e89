package erc20

import (
	"fmt"
	"math/big"

	go_qr "github.com/piglig/go-qr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// link returns a request for a wallet, as EIP-681 has it: so many units of a token to an
// address, on one chain.
func link(token evm.Address, chainID uint64, to evm.Address, units *big.Int) string {
	return fmt.Sprintf("ethereum:%s@%d/transfer?address=%s&uint256=%s", token, chainID, to, units)
}

// The picture: units of each module, and units of white around it: four modules, as
// scanners want it.
const (
	qrScale  = 8
	qrBorder = 4 * qrScale
)

// picture returns a link as a QR code in SVG, the same one each time.
func picture(link string) ([]byte, error) {
	code, err := go_qr.EncodeText(link, go_qr.Medium)
	if err != nil {
		return nil, fmt.Errorf("drawing the QR code: %w", err)
	}
	svg, err := code.ToSVGBytes(go_qr.NewQrCodeImgConfig(qrScale, qrBorder))
	if err != nil {
		return nil, fmt.Errorf("drawing the QR code: %w", err)
	}
	return svg, nil
}
