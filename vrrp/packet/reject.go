package packet

// Reason is a short key under which refused packets are counted.
type Reason string

// Reasons for which Parse refuses a packet.
const (
	ReasonLength   Reason = "length"   // shorter or longer than its count of addresses says
	ReasonVersion  Reason = "version"  // neither 2 nor 3
	ReasonType     Reason = "type"     // not an advertisement
	ReasonVRID     Reason = "vrid"     // zero
	ReasonInterval Reason = "interval" // zero
	ReasonAuth     Reason = "auth"     // authentication where the format has none
	ReasonChecksum Reason = "checksum" // wrong in every dialect
)

// RejectError is why Parse refused a packet.
type RejectError struct {
	Reason Reason
	Detail string // for people
}

func (e *RejectError) Error() string { return "vrrp packet: " + e.Detail }
