package ipvs

// include/uapi/linux/ip_vs.h. x/sys has none of it.
const (
	familyName    = "IPVS"
	familyVersion = 1

	cmdNewService = 1
	cmdSetService = 2
	cmdDelService = 3
	cmdGetService = 4
	cmdNewDest    = 5
	cmdSetDest    = 6
	cmdDelDest    = 7
	cmdGetDest    = 8
	cmdNewDaemon  = 9
	cmdDelDaemon  = 10
	cmdGetDaemon  = 11
	cmdSetInfo    = 14
	cmdGetInfo    = 15
	cmdZero       = 16

	attrService = 1
	attrDest    = 2
	attrDaemon  = 3

	svcFamily   = 1 // u16
	svcProtocol = 2 // u16
	svcAddr     = 3 // 16 bytes, of which IPv4 uses four
	svcPort     = 4 // be16
	svcMark     = 5
	svcSched    = 6
	svcFlags    = 7 // flags and mask, u32 each
	svcTimeout  = 8 // seconds
	svcNetmask  = 9 // IPv4: be32; IPv6: length of the prefix
	svcStats    = 10
	svcEngine   = 11
	svcStats64  = 12

	destAddr      = 1
	destPort      = 2 // be16
	destMethod    = 3
	destWeight    = 4
	destUpper     = 5
	destLower     = 6
	destActive    = 7
	destInactive  = 8
	destPersist   = 9
	destStats     = 10
	destFamily    = 11 // u16
	destStats64   = 12
	destTunType   = 13 // u8
	destTunPort   = 14 // be16
	destTunFlags  = 15 // u16
	flagPersist   = 0x01
	flagOnePacket = 0x04
	flag1         = 0x08 // and two more
	methodMask    = 0x07

	daemonRole   = 1
	daemonIfname = 2
	daemonID     = 3
	daemonMaxLen = 4 // u16
	daemonGroup4 = 5
	daemonGroup6 = 6
	daemonPort   = 7 // u16, in the machine's order
	daemonTTL    = 8 // u8

	statConns    = 1
	statInPkts   = 2
	statOutPkts  = 3
	statInBytes  = 4
	statOutBytes = 5
	statCPS      = 6
	statInPPS    = 7
	statOutPPS   = 8
	statInBPS    = 9
	statOutBPS   = 10

	infoVersion  = 1
	infoConnSize = 2
)
