// Package chaintest tests the rails on chains, package erc20 and package filecoinpay, on
// go-ethereum's simulated chain: with real blocks, receipts, logs, gas and reorganizations,
// over JSON-RPC. It is a module of its own, so that no binary of ours has go-ethereum in it,
// nor its dependencies change ours.
package chaintest
