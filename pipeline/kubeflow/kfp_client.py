"""kfp's client, every request of which ends within a time limit, and at the host that it is for."""

from typing import Any

import kfp
import urllib3
from kfp_server_api import rest


class PatientClient(kfp.Client):
    """kfp's client; as it comes it waits for an answer without end, and follows to a log-in page.

    Args:
      answer_seconds: To connect, and again for each piece of an answer.
      options: kfp's.
    """

    def __init__(self, answer_seconds: float, **options: Any) -> None:
        self._answer_seconds = answer_seconds
        super().__init__(**options)
        self._limit()

    def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
        """See the base class, which asks five times in 25 s and tells of tracebacks, not of why."""
        self._limit()  # it is the first request, made before __init__ is over
        # By its path: the method for it has another name in each version of kfp_server_api.
        api = self._healthz_api.api_client
        return api.call_api(
            "/apis/v2beta1/healthz",
            "GET",
            header_params={"Accept": "application/json"},
            response_type="V2beta1GetHealthzResponse",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
        )

    def _limit(self) -> None:
        api = self._healthz_api.api_client  # one for all
        api.rest_client = _LimitedRequests(api.configuration, self._answer_seconds)


class _LimitedRequests(rest.RESTClientObject):
    def __init__(self, configuration: Any, answer_seconds: float) -> None:
        super().__init__(configuration)
        options: dict[str, Any] = self.pool_manager.connection_pool_kw
        self.pool_manager: urllib3.PoolManager = _LimitedPools(answer_seconds, **options)


class _LimitedPools(urllib3.PoolManager):
    def __init__(self, answer_seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._timeout = urllib3.Timeout(connect=answer_seconds, read=answer_seconds)

    def urlopen(self, method: str, url: str, redirect: bool = False, **options: Any) -> Any:
        """See the base class."""
        return super().urlopen(method, url, redirect=False, **{**options, "timeout": self._timeout})
