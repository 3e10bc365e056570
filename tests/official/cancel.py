"""A script that cancels the request that it has started."""
import time

import sky
from steps import step


def state(request_id):
    return sky.api_status([request_id], all_status=True)[0].status


made = sky.Task(run='echo never')
made.set_resources(sky.Resources(cpus='0.1+'))
launched = step('launch', lambda: sky.launch(made, cluster_name='two'))
while state(launched) == 'PENDING':
    time.sleep(0.1)
step('state', lambda: state(launched))
step('api_cancel', lambda: sky.get(sky.api_cancel([launched])))
step('state when cancelled', lambda: state(launched))
step('get', lambda: sky.get(launched))
step('stream_and_get', lambda: sky.stream_and_get(launched))
step('api_cancel again', lambda: sky.get(sky.api_cancel([launched])))
