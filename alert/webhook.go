package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Webhook delivers by one POST of a JSON document for each group of changes:
//
//	{"alerts": [{"id": "split_brain/VI_1", "kind": "split_brain", ...}]}
//
// Any status from 200 to 299 takes them.
type Webhook struct {
	URL    string
	Client *http.Client // nil: http.DefaultClient
}

// Deliver implements Deliverer.
func (w Webhook) Deliver(ctx context.Context, changes []Alert) error {
	body, err := json.Marshal(map[string]any{"alerts": changes})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "haclusterd")
	client := w.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// A connection is used again only when its answer was read.
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("post %s: %s", req.URL.Redacted(), resp.Status)
	}
	return nil
}
