package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func codec(t testing.TB, fill byte) Codec[*Run] {
	t.Helper()
	c, err := NewRunCodec(bytes.Repeat([]byte{fill}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func aRun() *Run {
	return &Run{
		ActivationID: "0123456789abcdef0123456789abcdef", Transaction: "t", Namespace: "guest", Subject: "guest",
		APIKey: "uuid:a-very-secret-key", Args: json.RawMessage("{\"a\" : 1.50,\n \"b\":\"<&>\"}"),
		Action: Action{
			Namespace: "guest", Package: "p", Name: "n", Version: "0.0.1", Revision: 1 << 60, CodeID: 7, Kind: "python:3",
			Main: "main@gpu", Binary: true, Env: map[string]string{"K": "v\u2028<"}, Limits: Limits{1, 2, 3, 4},
		},
		Accepted: 1795391443809123, ReplyTo: "controller0", Cause: "c", Journaled: true, Requeued: 5,
	}
}

func TestRunCodecKeepsEverything(t *testing.T) {
	c, run := codec(t, 1), aRun()
	data, err := c.Encode(run)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("very-secret")) {
		t.Errorf("the API key is in clear: %s", data)
	}
	got, err := c.Decode(data)
	if err != nil || !reflect.DeepEqual(got, run) {
		t.Errorf("%v\n%+v\nwant\n%+v", err, got, run)
	}
	again, err := c.Encode(run)
	if err != nil || bytes.Equal(again, data) {
		t.Errorf("the same nonce twice, or %v", err)
	}
	without := aRun()
	without.APIKey = ""
	if data, err = c.Encode(without); err != nil {
		t.Fatal(err)
	}
	if got, err := codec(t, 2).Decode(data); err != nil || !reflect.DeepEqual(got, without) {
		t.Errorf("a run without a key, read with another secret: %v, %+v", err, got)
	}
}

func TestRunCodecKnowsItsKeys(t *testing.T) {
	c := codec(t, 1)
	data, err := c.Encode(aRun())
	if err != nil {
		t.Fatal(err)
	}
	run, err := codec(t, 2).Decode(data)
	if !errors.Is(err, ErrSealed) || run == nil || run.APIKey != "" || run.Action.Name != "n" {
		t.Errorf("with another secret: %v, %+v", err, run)
	}
	// A key that was sealed for one activation is none in another.
	other := strings.Replace(string(data), "0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef", 1)
	if run, err := c.Decode([]byte(other)); !errors.Is(err, ErrSealed) || run.APIKey != "" {
		t.Errorf("in another activation: %v, %+v", err, run)
	}
	if _, err := NewRunCodec([]byte("short")); err == nil {
		t.Error("a short secret was taken")
	}
}

func FuzzRunCodec(f *testing.F) {
	c := codec(f, 1)
	data, err := c.Encode(aRun())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("{}\n"))
	f.Add([]byte("null\n{}"))
	f.Add([]byte(`{"Key":"AA=="}` + "\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := c.Decode(data)
		if err == nil && run == nil {
			t.Fatal("neither a run nor an error")
		}
		if err != nil {
			return
		}
		again, err := c.Encode(run)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := c.Decode(again); err != nil || !bytes.Equal(back.Args, run.Args) || back.ActivationID != run.ActivationID {
			t.Fatalf("%v: %+v became %+v", err, run, back)
		}
	})
}

// A run is either in the journal before it is sent, or the journal says that it was.
func TestSending(t *testing.T) {
	var before, after Sending
	if before.Begin() {
		t.Error("what is not in the journal must be claimed there")
	}
	told := func(s *Sending) (sent bool) {
		if err := s.Accept(func(was bool) error { sent = was; return nil }); err != nil {
			t.Fatal(err)
		}
		return sent
	}
	if !told(&before) || told(&after) {
		t.Error("the journal was told wrong")
	}
	if !after.Begin() || !after.Journaled() {
		t.Error("what is in the journal must be claimed there")
	}
	var failed Sending
	if err := failed.Accept(func(bool) error { return errors.New("no") }); err == nil || failed.Journaled() || failed.Begin() {
		t.Error("what could not be written counts as written")
	}
	var none *Sending
	if none.Begin() || none.Journaled() || !told(none) {
		t.Error("without a Sending a run counts as sent")
	}
}
