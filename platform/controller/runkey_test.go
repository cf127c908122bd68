package controller

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestRunKeyStandsForItsSubjectUntilItsTime(t *testing.T) {
	keys := runKeys{bytes.Repeat([]byte{7}, 32)}
	until := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	minted, err := keys.mint(Identity{Subject: "ada", Namespace: "ns"}, "mark", until)
	if err != nil {
		t.Fatal(err)
	}
	uuid, key, _ := strings.Cut(minted, ":")
	if uuid != runKeyUUID {
		t.Errorf("the uuid is %s", uuid)
	}
	id, of, ok := keys.identity(key, until)
	if !ok || of != "mark" || id != (Identity{Subject: "ada", Namespace: "ns", Key: minted}) {
		t.Errorf("%+v, %v", id, ok)
	}
	if _, _, ok := keys.identity(key, until.Add(time.Second)); ok {
		t.Error("the key is good after its time")
	}
}

func TestAlwaysTrue9ForgedRunKeysOpenNothing(t *testing.T) {
	keys, others := runKeys{bytes.Repeat([]byte{7}, 32)}, runKeys{bytes.Repeat([]byte{8}, 32)}
	now := time.Now()
	minted, err := keys.mint(Identity{Subject: "ada", Namespace: "ns"}, "mark", now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := others.mint(Identity{Subject: "ada", Namespace: "ns"}, "mark", now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	victim, err := others.mint(Identity{Subject: "eve", Namespace: "victim"}, "mark", now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	secret := func(key string) string { _, s, _ := strings.Cut(key, ":"); return s }
	text, signature, _ := strings.Cut(secret(minted), ".")
	forged, _, _ := strings.Cut(secret(victim), ".")
	for _, key := range []string{
		"", ".", text, text + ".", "." + signature, secret(foreign), forged + "." + signature,
		text + "." + signature[1:], strings.ToUpper(text) + "." + signature, text + "=." + signature, "e30." + signature,
	} {
		if id, _, ok := keys.identity(key, now); ok {
			t.Errorf("%q opens %+v", key, id)
		}
	}
}
