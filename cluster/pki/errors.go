package pki

import (
	"fmt"
	"time"
)

// WrongClusterError says that the other side belongs to another cluster. Want
// and Got are the fingerprints of the two authorities, or the two cluster ids
// where one authority was expected on both sides.
type WrongClusterError struct {
	Want, Got string
}

func (e *WrongClusterError) Error() string {
	return fmt.Sprintf("wrong cluster: expected %s, found %s: take a token of the cluster that answers there, or use the right address", e.Want, e.Got)
}

// MalformedTokenError says that a text is no token, or part of one. It is found
// locally, before anything is sent.
type MalformedTokenError struct {
	Reason string // what is wrong, as the end of a sentence
}

func (e *MalformedTokenError) Error() string {
	return "token " + e.Reason + ": paste the whole line that `haclusterctl token create` printed"
}

// TokenProblem is why a well-formed token was refused.
type TokenProblem string

// The reasons for which a member refuses a token.
const (
	TokenUnknown TokenProblem = "unknown"
	TokenExpired TokenProblem = "expired"
	TokenUsed    TokenProblem = "used"
	TokenRevoked TokenProblem = "revoked"
)

// TokenRefusedError says why the cluster refused a token.
type TokenRefusedError struct {
	ID      string
	Problem TokenProblem
	At      time.Time // when it expired, was last used or was revoked; zero for unknown
	By      string    // the node that used it last, or who revoked it; may be empty
}

func (e *TokenRefusedError) Error() string {
	const cure = ": make a new one with `haclusterctl token create` on a member"
	at := e.At.UTC().Format(time.RFC3339)
	switch e.Problem {
	case TokenUnknown:
		return fmt.Sprintf("token %s is unknown to this cluster%s", e.ID, cure)
	case TokenExpired:
		return fmt.Sprintf("token %s expired at %s%s", e.ID, at, cure)
	case TokenUsed:
		return fmt.Sprintf("token %s was used up at %s by %s%s", e.ID, at, orSomebody(e.By), cure)
	case TokenRevoked:
		return fmt.Sprintf("token %s was revoked at %s by %s%s", e.ID, at, orSomebody(e.By), cure)
	default:
		return fmt.Sprintf("token %s is refused (%s)%s", e.ID, e.Problem, cure)
	}
}

func orSomebody(name string) string {
	if name == "" {
		return "somebody"
	}
	return name
}
