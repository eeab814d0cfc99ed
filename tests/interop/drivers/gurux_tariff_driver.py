"""Prints tariff attributes as gurux-dlms encodes them, one JSON object: ``class/attribute`` -> hex."""

import json

from gurux_dlms import GXDLMSClient, ValueEventArgs
from gurux_dlms.enums import DataType, ObjectType
from gurux_dlms.objects import (
    GXDLMSActivityCalendar,
    GXDLMSDayProfile,
    GXDLMSDayProfileAction,
    GXDLMSLimiter,
    GXDLMSRegister,
    GXDLMSRegisterActivation,
    GXDLMSScript,
    GXDLMSScriptAction,
    GXDLMSScriptTable,
    GXDLMSSeasonProfile,
    GXDLMSWeekProfile,
)

settings = GXDLMSClient().settings
answer = {}


def show(item, *indexes):
    for index in indexes:
        value = item.getValue(settings, ValueEventArgs(settings, item, index))
        octets = value.array() if hasattr(value, "array") else value
        answer[f"{int(item.objectType)}/{index}"] = bytes(octets).hex()


calendar = GXDLMSActivityCalendar()
season = GXDLMSSeasonProfile()
season.name, season.weekName = b"WINTER", b"W1"
season.start = bytes.fromhex("FFFF0B01FF000000FF8000FF")
calendar.seasonProfilePassive = [season]
week = GXDLMSWeekProfile()
week.name = b"W1"
week.monday = week.tuesday = week.wednesday = week.thursday = week.friday = 1
week.saturday, week.sunday = 2, 3
calendar.weekProfileTablePassive = [week]
day = GXDLMSDayProfile()
day.dayId = 1
action = GXDLMSDayProfileAction()
action.startTime, action.scriptLogicalName, action.scriptSelector = bytes.fromhex("060000FF"), "0.0.10.0.100.255", 2
day.daySchedules = [action]
calendar.dayProfileTablePassive = [day]
show(calendar, 7, 8, 9)

table = GXDLMSScriptTable("0.0.10.0.100.255")
script = GXDLMSScript()
script.id = 2
step = GXDLMSScriptAction()
step.type_, step.objectType, step.logicalName, step.index = 1, ObjectType.REGISTER_ACTIVATION, "0.0.14.0.0.255", 4
step.target = GXDLMSRegisterActivation("0.0.14.0.0.255")
step.parameter, step.parameterDataType = b"T2", DataType.OCTET_STRING
script.actions = [step]
table.scripts = [script]
show(table, 2)

limiter = GXDLMSLimiter("0.0.17.0.0.255")
limiter.monitoredValue = GXDLMSRegister("1.0.1.7.0.255")
limiter.monitoredAttributeIndex = 2
limiter.emergencyProfile.id = 7
limiter.emergencyProfile.activationTime = bytes.fromhex("07E90C18FF000000FF8000FF")
limiter.emergencyProfile.duration = 3600
limiter.emergencyProfileGroupIDs = [7, 8]
limiter.actionOverThreshold.scriptSelector = 1
limiter.actionOverThreshold.logicalName = "0.0.10.0.106.255"
limiter.actionUnderThreshold.scriptSelector = 2
limiter.actionUnderThreshold.logicalName = "0.0.10.0.106.255"
show(limiter, 2, 8, 9, 11)

registers = GXDLMSRegisterActivation("0.0.14.0.0.255")
registers.registerAssignment = [GXDLMSRegister("1.0.1.8.1.255"), GXDLMSRegister("1.0.1.8.2.255")]
registers.maskList = [(b"T1", [1]), (b"T2", [2])]
try:
    show(registers, 2, 3)
except Exception as error:
    answer["error"] = str(error)
print(json.dumps(answer))
