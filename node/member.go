package node

import (
	"context"
	"errors"
)

func runMember(context.Context, Options) error {
	return errors.New("this build has no cluster mode; use --standalone")
}
