"""Tasks of tau2-bench in solo mode; runs in the environment in which tau2 is installed.

Nothing of actwise is imported here: `python -m benchmarks.tau2` speaks to it over a pipe.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from tau2.agent.llm_agent import AGENT_SOLO_INSTRUCTION, LLMSoloAgent
from tau2.data_model.message import AssistantMessage, ToolCall
from tau2.data_model.simulation import SimulationRun, TerminationReason
from tau2.data_model.tasks import Task
from tau2.environment.tool import as_tool
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
from tau2.registry import registry

DONE = LLMSoloAgent.STOP_FUNCTION_NAME


def done() -> str:
    """Call this function when you are done with the task."""
    return "done"


def catalogue(domain: str, split: str) -> dict[str, Any]:
    """Return the policy, the tools, and the tasks that need no user, with their golden actions."""
    environment = registry.get_env_constructor(domain)(solo_mode=True)
    tools = [*environment.get_tools(), *environment.get_user_tools(), as_tool(done)]
    instruction = AGENT_SOLO_INSTRUCTION.format(stop_function_name=DONE)
    return {
        "system": f"{instruction}\n\n{environment.get_policy()}",
        "tools": [tool.openai_schema for tool in tools],
        "tasks": [
            {
                "id": task.id,
                "ticket": task.ticket,
                "actions": [
                    {"name": action.name, "arguments": action.arguments}
                    for action in task.evaluation_criteria.actions
                ],
            }
            for task in _tasks(domain, split)
        ],
    }


CATALOGUE: dict[str, Callable[..., Any]] = {"catalogue": catalogue}


class Solo:
    """One ticket; every attribute is a tool, and what is unknown is an error of tau2's own."""

    def __init__(self, name: str) -> None:
        """Set the databases up; `name` is "domain/split/id of the task"."""
        self._domain, split, task_id = name.split("/", 2)
        (self._task,) = (task for task in _tasks(self._domain, split) if task.id == task_id)
        self._environment = registry.get_env_constructor(self._domain)(solo_mode=True)
        initial = self._task.initial_state
        self._environment.set_state(
            initialization_data=initial and initial.initialization_data,
            initialization_actions=initial and initial.initialization_actions,
            message_history=[],
        )
        self._messages: list[Any] = []
        self._done = False

    def __getattr__(self, name: str) -> Callable[..., str]:
        """Return a tool."""
        return partial(self._call, name)

    def _call(self, name: str, /, **arguments: Any) -> str:
        if name == DONE:
            self._done = True
            return done()
        call = ToolCall(id=f"call_{len(self._messages)}", name=name, arguments=arguments)
        result = self._environment.get_response(call)
        self._messages += [AssistantMessage(role="assistant", tool_calls=[call]), result]
        return str(result.content)

    def state(self) -> float:
        """Return the reward by tau2's own evaluator; it is 0 before the model says it is done."""
        reason = TerminationReason.AGENT_STOP if self._done else TerminationReason.MAX_STEPS
        run = SimulationRun(
            id="",
            task_id=self._task.id,
            start_time="",
            end_time="",
            duration=0,
            termination_reason=reason,
            messages=self._messages,
        )
        found = evaluate_simulation(
            run, self._task, EvaluationType.ALL, solo_mode=True, domain=self._domain
        )
        return float(found.reward)


def _tasks(domain: str, split: str) -> list[Task]:
    tasks = registry.get_tasks_loader(domain)(split)
    return [t for t in tasks if t.ticket is not None and LLMSoloAgent.check_valid_task(t)]
