// Checks a ledger and its receipts with Go's own implementation of the same formats
// (golang.org/x/mod/sumdb/note and tlog): nothing here shares code with Domicile.
//
// usage: ledger_sumdb DIR, where DIR holds ledger/, vkey, kept (an older checkpoint) and
// *.tlog-proof.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

func read(parts ...string) []byte {
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		log.Fatal(err)
	}
	return data
}

// path turns sumdb's "tile/8/L/N" into tlog-tiles' "tile/L/N".
func path(t tlog.Tile) string {
	p := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
	return strings.Replace(p, "tile/data/", "tile/entries/", 1)
}

type tiles struct{ dir string }

func (t tiles) Height() int                          { return tileHeight }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte)   {}
func (t tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range want {
		data, err := os.ReadFile(filepath.Join(t.dir, path(tile)))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

// open verifies a checkpoint's signature and reads its tree head.
func open(text []byte, verifier note.Verifier) tlog.Tree {
	n, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		log.Fatalf("checkpoint: %v", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		log.Fatalf("checkpoint: unexpected text %q", n.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		log.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

// checkEntries hashes every entry of every bundle and compares with verified tiles.
func checkEntries(dir string, tree tlog.Tree, reader tlog.HashReader) {
	var n int64
	for n < tree.N {
		width := tree.N - n
		if width > 256 {
			width = 256
		}
		bundle := read(dir, path(tlog.Tile{H: tileHeight, L: -1, N: n / 256, W: int(width)}))
		for i := int64(0); i < width; i++ {
			size := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+size]
			bundle = bundle[2+size:]
			hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
			if err != nil {
				log.Fatalf("entry %d: %v", n, err)
			}
			if hashes[0] != tlog.RecordHash(entry) {
				log.Fatalf("entry %d: the bundle does not match the tile", n)
			}
			n++
		}
		if len(bundle) != 0 {
			log.Fatal("a bundle has bytes left over")
		}
	}
}

// checkReceipt verifies a tlog-proof@v1 whose extra data carry the entry.
func checkReceipt(text []byte, verifier note.Verifier) {
	parts := bytes.SplitN(text, []byte("\n\n"), 2)
	lines := strings.Split(string(parts[0]), "\n")
	if len(parts) != 2 || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		log.Fatal("receipt: not a tlog-proof")
	}
	extra, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil || len(extra) < 102 || string(extra[:6]) != "DOMRC\x01" {
		log.Fatal("receipt: unexpected extra data")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			log.Fatal(err)
		}
		proof = append(proof, hash)
	}
	tree := open(parts[1], verifier)
	leaf := tlog.RecordHash(extra[6:102])
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
		log.Fatalf("receipt: %v", err)
	}
	leaf[0] ^= 1
	if tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf) == nil {
		log.Fatal("receipt: a wrong leaf passed, so this check checks nothing")
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: ledger_sumdb DIR")
	}
	dir := os.Args[1]
	ledger := filepath.Join(dir, "ledger")
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read(dir, "vkey"))))
	if err != nil {
		log.Fatalf("vkey: %v", err)
	}
	tree := open(read(ledger, "checkpoint"), verifier)
	reader := tlog.TileHashReader(tree, tiles{ledger})
	checkEntries(ledger, tree, reader)
	kept := open(read(dir, "kept"), verifier)
	proof, err := tlog.ProveTree(tree.N, kept.N, reader)
	if err != nil {
		log.Fatal(err)
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, kept.N, kept.Hash); err != nil {
		log.Fatalf("consistency: %v", err)
	}
	receipts, _ := filepath.Glob(filepath.Join(dir, "*.tlog-proof"))
	if len(receipts) == 0 {
		log.Fatal("no receipts")
	}
	for _, receipt := range receipts {
		checkReceipt(read(receipt), verifier)
	}
	fmt.Printf("%d entries, consistency from %d, %d receipts verified by sumdb/note and tlog\n", tree.N, kept.N,
		len(receipts))
}
