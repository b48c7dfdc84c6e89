package chaintest

import (
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/evm"
)

// TestMovedToAnotherBlock shows a transfer whose block is replaced, and which is in the next
// one again.
func TestMovedToAnotherBlock(t *testing.T) {
	s := newShop(t)
	paid := s.pay(s.usdc, s.to, s.ask(invoice("A", 1000)).Asked)
	s.poll()
	before := s.expect(paid, "A", 1000, rails.Paid, false)
	s.rewind(1)
	s.mine(2)
	s.poll()
	after := s.expect(paid, "A", 1000, rails.Paid, false)
	if after.BlockHash == before.BlockHash || after.Version <= before.Version {
		t.Errorf("it is in block %s, version %d, and was in %s, version %d", after.BlockHash, after.Version, before.BlockHash, before.Version)
	}
	s.mine(5)
	s.poll()
	if final := s.expect(paid, "A", 1000, rails.Paid, true); final.BlockHash != after.BlockHash {
		t.Errorf("the final block is %s, and was %s", final.BlockHash, after.BlockHash)
	}
}

// TestReplaced shows a transfer that is displaced by another transaction with its nonce,
// which its sender sends while the chain is reorganized. The process stops in between.
func TestReplaced(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		s := newShop(t)
		asked := s.ask(invoice("A", 1000)).Asked
		nonce := s.nonce(s.owner)
		paid := s.pay(s.usdc, s.to, asked)
		s.poll()
		s.expect(paid, "A", 1000, rails.Paid, false)
		s.rewind(1)
		s.send(s.owner, nonce, 3, &s.usdc.at, s.usdc.pack(t, "transfer", common.HexToAddress("0xbb"), asked))
		s.mine(3)
		if restarts {
			s.restart()
		}
		s.poll()
		s.expect(paid, "A", 1000, rails.Paid, false) // it may still come back
		s.mine(6)
		s.poll()
		s.expect(paid, "A", 1000, rails.Reversed, true)
		again := s.pay(s.usdc, s.to, asked)
		s.mine(5)
		s.poll()
		s.expect(again, "A", 1000, rails.Paid, true)
		s.expect(paid, "A", 1000, rails.Reversed, true)
	}
}

// TestMovedInItsBlock shows a transfer that has another place among the logs of its new
// block: it is another event, and the first one is gone.
func TestMovedInItsBlock(t *testing.T) {
	s := newShop(t)
	s.do(s.owner, s.usdc, "transfer", s.payer.address(), evm.Pow10(9))
	paid := s.pay(s.usdc, s.to, s.ask(invoice("A", 1000)).Asked)
	s.poll()
	s.rewind(1)
	s.send(s.payer, s.nonce(s.payer), 9, &s.usdc.at, s.usdc.pack(t, "transfer", s.operator.address(), evm.Pow10(6)))
	s.mine(6)
	s.poll()
	s.expect(paid, "A", 1000, rails.Reversed, true)
	s.expect(paid[:len(paid)-1]+"1", "A", 1000, rails.Paid, true)
}

// TestComesBack shows a transfer that was gone until its block would have been final, and
// then comes into a block after all.
func TestComesBack(t *testing.T) {
	s := newShop(t)
	asked := s.ask(invoice("A", 1000)).Asked
	nonce, data := s.nonce(s.owner), s.usdc.pack(t, "transfer", s.to, asked)
	paid := s.pay(s.usdc, s.to, asked)
	s.poll()
	s.rewind(1)
	s.backend.Rollback()
	s.mine(7)
	s.poll()
	s.expect(paid, "A", 1000, rails.Reversed, true)
	s.send(s.owner, nonce, 1, &s.usdc.at, data)
	s.mine(1)
	s.poll()
	s.expect(paid, "A", 1000, rails.Paid, false)
	s.mine(5)
	s.poll()
	s.expect(paid, "A", 1000, rails.Paid, true)
}

// TestDeepReorganization shows that blocks which were final and are others now are an error,
// and that nothing is told then.
func TestDeepReorganization(t *testing.T) {
	s := newShop(t)
	asked := s.ask(invoice("A", 1000)).Asked
	paid := s.pay(s.usdc, s.to, asked)
	s.mine(5)
	s.poll()
	s.expect(paid, "A", 1000, rails.Paid, true)
	s.rewind(6)
	s.backend.Rollback()
	s.mine(8)
	if err := s.rail.Poll(t.Context()); !errors.Is(err, evm.ErrForked) {
		t.Errorf("%v, want ErrForked", err)
	}
	s.expect(paid, "A", 1000, rails.Paid, true)
}
