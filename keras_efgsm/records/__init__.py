"""The files beside a result: one type for each, with reading, writing and wording.

A record is a frozen dataclass whose fields are the names in the file. `read` checks all of it and
raises a `ValueError` that says what is wrong; `write` leaves the old file or the whole new one.
`wording` says figures alike everywhere, and `environment` what they were measured with.
"""

from keras_efgsm.records.classes import ClassAccuracy, ClassesPart
from keras_efgsm.records.comparison import (
    AskedAttackPart,
    ComparedPart,
    ComparisonRecord,
    ComparisonStateRecord,
)
from keras_efgsm.records.curve import RadiusPart, RobustnessCurveRecord
from keras_efgsm.records.data import DataRecord
from keras_efgsm.records.diagnosis import DiagnosisRecord, FindingRecord
from keras_efgsm.records.distances import DistanceRecord, DistancesRecord
from keras_efgsm.records.evaluation import AttackRecord, EvaluationRecord
from keras_efgsm.records.export import Agreement, ContractRecord, ExportRecord, FileRecord
from keras_efgsm.records.history import HistoryRecord, LogRecord
from keras_efgsm.records.json_text import RecordError, read_json
from keras_efgsm.records.measurements import FormRecord, MeasurementsRecord
from keras_efgsm.records.metrics import MetricsRecord, StopRecord
from keras_efgsm.records.record import NewerSchemaError, Record
from keras_efgsm.records.report_curves import ReportCurvesRecord
from keras_efgsm.records.robust_model import RobustModelRecord
from keras_efgsm.records.search import (
    FinalistsRecord,
    SearchRecord,
    TrialMeasurementRecord,
    TrialsRecord,
)
from keras_efgsm.records.single_draws import SingleDraws
from keras_efgsm.records.tally import TallyRecord
from keras_efgsm.records.targeted import TargetedRecord
from keras_efgsm.records.universal import UniversalRecord

# One for each kind of file; a new one is its module and a line here.
RECORDS: tuple[type[Record], ...] = (
    EvaluationRecord,
    RobustnessCurveRecord,
    TargetedRecord,
    TallyRecord,
    ComparisonRecord,
    ComparisonStateRecord,
    DiagnosisRecord,
    MeasurementsRecord,
    ExportRecord,
    MetricsRecord,
    HistoryRecord,
    LogRecord,
    SearchRecord,
    TrialMeasurementRecord,
    TrialsRecord,
    FinalistsRecord,
    ReportCurvesRecord,
    DistancesRecord,
    UniversalRecord,
    RobustModelRecord,
)
"""Every kind of record, one for each kind of file."""

__all__ = [
    "RECORDS",
    "Agreement",
    "AskedAttackPart",
    "AttackRecord",
    "ClassAccuracy",
    "ClassesPart",
    "ComparedPart",
    "ComparisonRecord",
    "ComparisonStateRecord",
    "ContractRecord",
    "DataRecord",
    "DiagnosisRecord",
    "DistanceRecord",
    "DistancesRecord",
    "EvaluationRecord",
    "ExportRecord",
    "FileRecord",
    "FinalistsRecord",
    "FindingRecord",
    "FormRecord",
    "HistoryRecord",
    "LogRecord",
    "MeasurementsRecord",
    "MetricsRecord",
    "NewerSchemaError",
    "RadiusPart",
    "Record",
    "RecordError",
    "ReportCurvesRecord",
    "RobustModelRecord",
    "RobustnessCurveRecord",
    "SearchRecord",
    "SingleDraws",
    "StopRecord",
    "TallyRecord",
    "TargetedRecord",
    "TrialMeasurementRecord",
    "TrialsRecord",
    "UniversalRecord",
    "read_json",
]
