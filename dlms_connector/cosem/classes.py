"""COSEM interface classes: numbers, names and attributes (IEC 62056-6-2, Blue Book)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from dlms_connector.cosem.spelling import plain

#: Number of the class clock.
CLOCK_CLASS = 8


@dataclass(frozen=True, slots=True)
class CosemClass:
    """An interface class.

    `attributes` are the names from attribute 1 on, in camelCase as in JSON. `scalers` maps a
    scaled attribute to the one with its scaler and unit. `methods_at` is the offset of method 1
    from the base name (short name referencing); None if it is not known here.
    """

    id: int
    name: str
    attributes: tuple[str, ...] = ()
    scalers: Mapping[int, int] = field(default_factory=dict)
    methods_at: int | None = None

    def attribute_name(self, attribute: int) -> str | None:
        """Return the name of an attribute; None where it is not known here."""
        within = 1 <= attribute <= len(self.attributes)
        return self.attributes[attribute - 1] if within else None


def _row(
    id_: int,
    name: str,
    attributes: str,
    scalers: Mapping[int, int] | None = None,
    methods_at: int | None = None,
) -> CosemClass:
    names = ("logicalName", *attributes.split())
    return CosemClass(id_, name, names, scalers or {}, methods_at)


_ROWS = (
    _row(1, "data", "value"),
    _row(3, "register", "value scalerUnit", {2: 3}, 0x28),
    _row(4, "extendedRegister", "value scalerUnit status captureTime", {2: 3}, 0x38),
    _row(
        5,
        "demandRegister",
        "currentAverageValue lastAverageValue scalerUnit status captureTime startTimeCurrent "
        "period numberOfPeriods",
        {2: 4, 3: 4},
        0x48,
    ),
    _row(6, "registerActivation", "registerAssignment maskList activeMask", None, 0x30),
    _row(
        7,
        "profileGeneric",
        "buffer captureObjects capturePeriod sortMethod sortObject entriesInUse profileEntries",
        None,
        0x58,
    ),
    _row(
        8,
        "clock",
        "time timeZone status daylightSavingsBegin daylightSavingsEnd daylightSavingsDeviation "
        "daylightSavingsEnabled clockBase",
        None,
        0x60,
    ),
    _row(9, "scriptTable", "scripts", None, 0x20),
    _row(10, "schedule", "entries"),
    _row(11, "specialDaysTable", "entries", None, 0x10),
    _row(
        12,
        "associationSn",
        "objectList accessRightsList securitySetupReference userList currentUser",
        None,
        0x20,
    ),
    _row(
        15,
        "associationLn",
        "objectList associatedPartnersId applicationContextName xDlmsContextInfo "
        "authenticationMechanismName secret associationStatus securitySetupReference userList "
        "currentUser",
        None,
        0x60,
    ),
    _row(17, "sapAssignment", "sapAssignmentList", None, 0x20),
    _row(
        18,
        "imageTransfer",
        "imageBlockSize imageTransferredBlocksStatus imageFirstNotTransferredBlockNumber "
        "imageTransferEnabled imageTransferStatus imageToActivateInfo",
        None,
        0x40,
    ),
    _row(
        19,
        "iecLocalPortSetup",
        "defaultMode defaultBaud proposedBaud responseTime deviceAddress pass1 pass2 pass5",
    ),
    _row(
        20,
        "activityCalendar",
        "calendarNameActive seasonProfileActive weekProfileTableActive dayProfileTableActive "
        "calendarNamePassive seasonProfilePassive weekProfileTablePassive "
        "dayProfileTablePassive activatePassiveCalendarTime",
        None,
        0x50,
    ),
    _row(21, "registerMonitor", "thresholds monitoredValue actions"),
    _row(22, "singleActionSchedule", "executedScript type executionTime"),
    _row(
        23,
        "iecHdlcSetup",
        "commSpeed windowSizeTransmit windowSizeReceive maxInfoFieldLengthTransmit "
        "maxInfoFieldLengthReceive interOctetTimeOut inactivityTimeOut deviceAddress",
    ),
    _row(27, "modemConfiguration", "commSpeed initializationString modemProfile"),
    _row(
        28,
        "autoAnswer",
        "mode listeningWindow status numberOfCalls numberOfRings listOfAllowedCallers",
    ),
    _row(29, "autoConnect", "mode repetitions repetitionDelay callingWindow destinationList"),
    _row(
        40,
        "pushSetup",
        "pushObjectList sendDestinationAndMethod communicationWindow "
        "randomisationStartInterval numberOfRetries repetitionDelay portReference pushClientSap "
        "pushProtectionParameters pushOperationMethod confirmationParameters "
        "lastConfirmationDateTime",
        None,
        0x38,
    ),
    _row(
        41,
        "tcpUdpSetup",
        "tcpUdpPort ipReference mss nbOfSimConn inactivityTimeOut",
    ),
    _row(
        42,
        "ipv4Setup",
        "dlReference ipAddress multicastIpAddress ipOptions subnetMask gatewayIpAddress "
        "useDhcpFlag primaryDnsAddress secondaryDnsAddress",
        None,
        0x60,
    ),
    _row(43, "macAddressSetup", "macAddress"),
    _row(44, "pppSetup", "phyReference lcpOptions ipcpOptions pppAuthentication"),
    _row(45, "gprsModemSetup", "apn pinCode qualityOfService"),
    _row(46, "smtpSetup", "serverPort userName loginPassword serverAddress senderAddress"),
    _row(
        47,
        "gsmDiagnostic",
        "operator status csAttachment psStatus cellInfo adjacentCells captureTime",
    ),
    _row(
        48,
        "ipv6Setup",
        "dlReference addressConfigMode unicastIpAddresses multicastIpAddresses "
        "gatewayIpAddresses primaryDnsAddress secondaryDnsAddress trafficClass "
        "neighborDiscoverySetup",
    ),
    _row(61, "registerTable", "tableCellValues tableCellDefinition scalerUnit", {2: 4}),
    _row(
        62,
        "compactData",
        "compactBuffer captureObjects templateId templateDescription captureMethod",
    ),
    _row(63, "statusMapping", "statusWord mappingTable"),
    _row(
        64,
        "securitySetup",
        "securityPolicy securitySuite clientSystemTitle serverSystemTitle certificates",
        None,
        0x30,
    ),
    _row(70, "disconnectControl", "outputState controlState controlMode", None, 0x20),
    _row(
        71,
        "limiter",
        "monitoredValue thresholdActive thresholdNormal thresholdEmergency "
        "minOverThresholdDuration minUnderThresholdDuration emergencyProfile "
        "emergencyProfileGroupIdList emergencyProfileActive actions",
    ),
    _row(
        72,
        "mBusClient",
        "mBusPortReference captureDefinition capturePeriod primaryAddress identificationNumber "
        "manufacturerId version deviceType accessNumber status alarm configuration "
        "encryptionKeyStatus",
        None,
        0x60,
    ),
    _row(74, "mBusMasterPortSetup", "commSpeed"),
    _row(
        111,
        "account",
        "accountModeAndStatus currentCreditInUse currentCreditStatus availableCredit "
        "amountToClear clearanceThreshold aggregatedDebt creditReferenceList "
        "chargeReferenceList creditChargeConfiguration tokenGatewayConfiguration "
        "accountActivationTime accountClosureTime currency lowCreditThreshold "
        "nextCreditAvailableThreshold maxProvision maxProvisionPeriod",
    ),
    _row(
        112,
        "credit",
        "currentCreditAmount creditType priority warningThreshold limit creditConfiguration "
        "status presetCreditAmount creditAvailableThreshold period",
    ),
    _row(
        113,
        "charge",
        "totalAmountPaid chargeType priority unitChargeActive unitChargePassive "
        "unitChargeActivationTime period chargeConfiguration lastCollectionTime "
        "lastCollectionAmount totalAmountRemaining proportion",
    ),
    _row(
        115,
        "tokenGateway",
        "token tokenTime tokenDescription tokenDeliveryMethod tokenStatus",
    ),
    _row(151, "lteMonitoring", "lteNetworkParameters lteQualityOfService"),
)

CLASSES = {row.id: row for row in _ROWS}

#: Other names people use.
_ALIASES = {
    "clockobject": 8,
    "hdlcsetup": 23,
    "ip4setup": 42,
    "ipv4": 42,
    "macaddress": 43,
    "mbusclient": 72,
    "ltediagnostic": 151,
    "relay": 70,
    "actionschedule": 22,
    "gsmdiagnostics": 47,
    "specialdays": 11,
}
_BY_NAME = {row.name.casefold(): row.id for row in _ROWS} | _ALIASES
_SPELLED = {row.name.casefold(): row.name for row in _ROWS}
_NUMBER = re.compile(r"\s*[0-9]{1,5}\s*")


def class_id(value: Any) -> int:
    """Read an interface class by name (`register`) or number (`3`, also as text).

    Raises ValueError with a sentence for the user.
    """
    name = plain(value) if isinstance(value, str) else ""
    number = int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number <= 0xFFFF:
        return number
    if name in _BY_NAME:
        return _BY_NAME[name]
    close = get_close_matches(name, _SPELLED, n=1)
    meant = f"; did you mean {_SPELLED[close[0]]}?" if close else ""
    raise ValueError(f"{value!r} is not a COSEM class name or number{meant}")
