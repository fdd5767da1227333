package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/hacluster/hacluster/observed"
)

// Webhook delivers by one POST of a JSON document for each group of alerts,
// with the field names of the API:
//
//	{"alerts": [{"id": "split_brain/lb01/VI_1/lb02", "state": "open", "code": "split_brain", ...}]}
//
// Any status from 200 to 299 takes them.
type Webhook struct {
	URL    string
	Client *http.Client // nil: http.DefaultClient
}

// document is an alert as the webhook's receiver reads it.
type document struct {
	ID       string   `json:"id"`
	State    string   `json:"state"` // open or resolved
	Code     string   `json:"code"`
	Severity string   `json:"severity"` // info, warning or critical
	Node     string   `json:"node"`
	Unit     string   `json:"unit,omitempty"`
	Summary  string   `json:"summary"`
	Evidence []string `json:"evidence,omitempty"`
	Action   string   `json:"action,omitempty"`
	Next     string   `json:"next,omitempty"`
	Since    string   `json:"since"` // RFC 3339
	Resolved string   `json:"resolved,omitempty"`
}

// Deliver implements Deliverer.
func (w Webhook) Deliver(ctx context.Context, alerts []observed.Alert) error {
	docs := make([]document, len(alerts))
	for i, a := range alerts {
		docs[i] = document{
			ID: a.ID, State: state(a), Code: a.Code, Severity: severity(a.Severity), Node: a.Node, Unit: a.Unit,
			Summary: a.Summary, Evidence: a.Evidence, Action: a.Action, Next: a.Next,
			Since: timestamp(a.Since), Resolved: timestamp(a.Resolved),
		}
	}
	body, err := json.Marshal(map[string]any{"alerts": docs})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the webhook's URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "haclusterd")
	client := w.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		// Paths of webhooks are often secrets: the error shows the host only.
		if whole, ok := errors.AsType[*url.Error](err); ok {
			err = whole.Err
		}
		return fmt.Errorf("post to %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	// A connection is used again only when its answer was read.
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("post to %s: %s", req.URL.Host, resp.Status)
	}
	return nil
}
