"""Steps of a script against an API server, printed as lines of JSON for the test that runs it."""
import enum
import json


def shown(value):
    """A value as JSON: handles and the like by what people read of them."""
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(shown(key)): shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if hasattr(value, 'launched_resources'):
        return {
            'class': type(value).__name__,
            'cluster_name': value.cluster_name,
            'launched_nodes': value.launched_nodes,
            'resources': str(value.launched_resources),
            'infra': value.launched_resources.infra.to_str(),
            'ips': shown(value.stable_internal_external_ips),
            'head_ip': value.head_ip,
        }
    if hasattr(value, 'model_dump'):
        return shown(dict(value))
    return str(value)


def tell(name, **found):
    print('STEP ' + json.dumps({'name': name, **found}), flush=True)


def tell_error(name, error):
    more = {'returncode': error.returncode} if hasattr(error, 'returncode') else {}
    tell(name, error=f'{type(error).__module__}.{type(error).__name__}', message=str(error), **more)


def step(name, work):
    """Runs `work` and tells its value or its exception; returns the value."""
    try:
        value = work()
    except BaseException as error:  # also SystemExit: what people would have to catch
        tell_error(name, error)
        return None
    tell(name, value=shown(value))
    return value


async def astep(name, work):
    """The same for a coroutine."""
    try:
        value = await work
    except BaseException as error:
        tell_error(name, error)
        return None
    tell(name, value=shown(value))
    return value
