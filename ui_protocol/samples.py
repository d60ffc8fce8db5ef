"""A request of each procedure to try it with: for the request collection, the description and the tests."""

from __future__ import annotations

from typing import Any

#: Identities of the first two stations of the shipped model ``schneider``.
HASH_ID = "0058d8b50e422cce5bbd0c0a4ad13d5d657e8a88670dcf04c1b2b563fea3db5b96a3686278b374ed050e21baef89060e"
OTHER_HASH_ID = "331d024fea36e3e2483a0e5dc9376234241c8c099ad201a441437b23622c308555183f37cbc84a1818c1c45aaae50896"

HASH_IDS = ("{{ _.hashId }}", "{{ _.otherHashId }}")

_ONE = {"hashIds": [HASH_IDS[0]]}
_TWO = {"hashIds": list(HASH_IDS)}
_PLUG = {**_ONE, "connectorId": 1}

#: Payload by procedure; ``{{ _.hashId }}`` and ``{{ _.otherHashId }}`` stand for identities of stations.
SAMPLES: dict[str, dict[str, Any]] = {
    "startSimulator": {},
    "stopSimulator": {},
    "simulatorState": {},
    "listChargingStations": {"offset": 0, "limit": 50},
    "listTemplates": {},
    "addChargingStations": {
        "template": "keba",
        "numberOfStations": 2,
        "options": {"autoStart": True, "nameSuffix": "-NEW"},
    },
    "deleteChargingStations": {"hashIds": [HASH_IDS[1]], "deleteConfiguration": False},
    "performanceStatistics": {"offset": 0, "limit": 50},
    "listMessages": {**_ONE, "limit": 100},
    "startChargingStation": _TWO,
    "stopChargingStation": _TWO,
    "openConnection": _TWO,
    "closeConnection": _TWO,
    "setSupervisionUrl": {**_ONE, "url": "ws://localhost:8180/steve/websocket/CentralSystemService"},
    "changeConfiguration": {**_TWO, "key": "MeterValueSampleInterval", "value": "30"},
    "lockConnector": _PLUG,
    "unlockConnector": _PLUG,
    "startAutomaticTransactionGenerator": {**_TWO, "connectorIds": [1]},
    "stopAutomaticTransactionGenerator": {**_TWO, "connectorIds": [1]},
    "authorize": {**_TWO, "idTag": "test"},
    "bootNotification": _TWO,
    "heartbeat": _TWO,
    "meterValues": {**_TWO, "connectorId": 1},
    "startTransaction": {**_PLUG, "idTag": "test"},
    "statusNotification": {**_TWO, "connectorId": 1, "errorCode": "NoError", "status": "Available"},
    "stopTransaction": {**_ONE, "transactionId": 1},
    "dataTransfer": {**_TWO, "vendorId": "com.example", "messageId": "hello", "data": "world"},
    "diagnosticsStatusNotification": {**_TWO, "status": "Uploaded"},
    "firmwareStatusNotification": {**_TWO, "status": "Installed"},
    "logStatusNotification": {**_TWO, "status": "Idle"},
    "securityEventNotification": {**_TWO, "type": "SettingSystemTime"},
    "signCertificate": {
        **_ONE,
        "csr": "-----BEGIN CERTIFICATE REQUEST-----\nMIHY\n-----END CERTIFICATE REQUEST-----\n",
    },
    "get15118EVCertificate": _ONE,
    "getCertificateStatus": _ONE,
    "notifyCustomerInformation": _ONE,
    "notifyReport": _ONE,
    "transactionEvent": _ONE,
    "plugIn": _PLUG,
    "unplug": _PLUG,
    "presentIdTag": {**_PLUG, "idTag": "test"},
    "raiseError": {**_PLUG, "errorCode": "GroundFailure"},
    "clearError": _PLUG,
    "powerCycle": _ONE,
    "subscribe": {"topics": ["stations", "messages"], **_TWO},
}
