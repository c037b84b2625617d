from . import analysis, kernels, release, schema, scoring, store, view
from .analysis.agreement import agreement, agreement_rates
from .analysis.audit import audit
from .analysis.band_tables import normalisation, quantiles, separability
from .analysis.representativeness import representativeness
from .analysis.scene_tables import class_balance, cloud_cover, tag_co_occurrence, tag_counts
from .analysis.statistics import statistics, tabulate
from .errors import CatalogueError, DefectError, DefectWarning, DownloadWarning, IncompleteStoreWarning
from .release import download, make_replica, open_release
from .scoring.calibration import calibrate_threshold
from .scoring.comparison import compare
from .scoring.explanation import explain
from .scoring.intervals import intervals
from .scoring.kept_scores import open_scores
from .scoring.metrics import metrics
from .scoring.models import Specification, check_model, load_model
from .scoring.probabilities import probability_curves, probability_metrics
from .scoring.scores import score
from .scoring.scores_store import claim_scores
from .store import convert, export_zip, open_catalogue, open_store, verify

__version__: str

__all__ = [
    "CatalogueError",
    "DefectError",
    "DefectWarning",
    "DownloadWarning",
    "IncompleteStoreWarning",
    "Specification",
    "__version__",
    "agreement",
    "agreement_rates",
    "analysis",
    "audit",
    "calibrate_threshold",
    "check_model",
    "claim_scores",
    "class_balance",
    "cloud_cover",
    "compare",
    "convert",
    "download",
    "explain",
    "export_zip",
    "intervals",
    "kernels",
    "load_model",
    "make_replica",
    "metrics",
    "normalisation",
    "open_catalogue",
    "open_release",
    "open_scores",
    "open_store",
    "probability_curves",
    "probability_metrics",
    "quantiles",
    "release",
    "representativeness",
    "schema",
    "score",
    "scoring",
    "separability",
    "statistics",
    "store",
    "tabulate",
    "tag_co_occurrence",
    "tag_counts",
    "verify",
    "view",
]
