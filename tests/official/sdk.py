"""What people do with `import sky`, one step after the other."""
import io

import sky
from sky.client import sdk
from steps import step

SMALL = sky.Resources(cpus='0.1+')


def task(run, resources=SMALL, **more):
    made = sky.Task(run=run, **more)
    made.set_resources(resources)
    return made


def dag_of(made):
    dag = sky.Dag()
    dag.add(made)
    return dag


def streamed(request_id):
    out = io.StringIO()
    value = sky.stream_and_get(request_id, output_stream=out)
    return value, out.getvalue()


def tailed(**options):
    out = io.StringIO()
    code = sky.tail_logs('one', output_stream=out, **options)
    return code, out.getvalue()


launched = step('launch', lambda: sky.launch(task('echo hello $WHO', envs={'WHO': 'sdk'}), cluster_name='one'))
step('stream_and_get', lambda: streamed(launched))
step('get', lambda: sky.get(launched))
step('get by prefix', lambda: sky.get(launched[:8]))
step('tail_logs', lambda: tailed(job_id=1, follow=True))
step('tail_logs as iterator',
     lambda: [line for line in sky.tail_logs('one', 1, follow=True, preload_content=False) if line is not None])
step('status', lambda: sky.get(sky.status(['one'])))
step('exec', lambda: sky.get(sky.exec(task('exit 3'), cluster_name='one')))
step('tail_logs of a failed job', lambda: tailed(job_id=2, follow=True))
step('long exec', lambda: sky.get(sky.exec(task('sleep 300'), cluster_name='one')))
step('tail_logs of a running job', lambda: tailed(job_id=3, follow=False)[0])
step('cancel', lambda: sky.get(sky.cancel('one', job_ids=[3])))
step('tail_logs of a cancelled job', lambda: tailed(job_id=3, follow=False)[0])
step('tail_logs of no job', lambda: tailed(job_id=99, follow=False)[0])
step('job_status', lambda: sky.get(sky.job_status('one', [1, 2, 3])))
step('job_status of the last', lambda: sky.get(sky.job_status('one')))
step('queue', lambda: sky.get(sky.queue('one')))
step('download_logs', lambda: sky.download_logs('one', ['1']))
step('autostop', lambda: sky.get(sky.autostop('one', 30)))
step('endpoints', lambda: sky.get(sky.endpoints('one')))
step('cost_report', lambda: sky.get(sky.cost_report()))
step('enabled_clouds', lambda: sky.get(sdk.enabled_clouds()))
step('check', lambda: sky.get(sdk.check(None, False)))
step('optimize', lambda: sky.get(sky.optimize(dag_of(task('x')))))
step('list_accelerators', lambda: sky.get(sdk.list_accelerators()))
step('list_accelerator_counts', lambda: sky.get(sdk.list_accelerator_counts()))
step('storage_ls', lambda: sky.get(sky.storage_ls()))
step('jobs.queue', lambda: sky.get(sky.jobs.queue(refresh=False)))
step('jobs.queue_v2', lambda: sky.get(sky.jobs.queue_v2(refresh=False)))
step('serve.status', lambda: sky.get(sky.serve.status(None)))
step('volumes.ls', lambda: sky.get(sky.volumes.ls()))
step('api_status', lambda: [one.name for one in sky.api_status(all_status=True)])
step('api_info', lambda: sky.api_info())
step('api_cancel of a finished request', lambda: sky.get(sky.api_cancel([launched])))

# What people catch.
BIG = sky.Resources(accelerators='H100:8')
step('mismatch', lambda: sky.get(sky.launch(task('x', BIG), cluster_name='one')))
step('unavailable', lambda: sky.get(sky.launch(task('x', BIG), cluster_name='two')))
step('bad name', lambda: sky.get(sky.launch(task('x'), cluster_name='1st')))
# A file to a place where none can be: mkdir fails on the node.
nowhere = task('x')
nowhere.set_file_mounts({'/dev/null/file': __file__})
step('failed sync', lambda: sky.get(sky.launch(nowhere, cluster_name='one')))
# A workdir that git can't clone.
nogit = task('x', workdir={'url': 'file:///nowhere.git'})
step('failed clone', lambda: sky.get(sky.launch(nogit, cluster_name='one')))
step('managed job', lambda: sky.get(sky.jobs.launch(task('x'), 'job')))
step('stop', lambda: sky.get(sky.stop('one')))
step('status when stopped', lambda: sky.get(sky.status(['one'])))
step('queue when stopped', lambda: sky.get(sky.queue('one')))
step('exec when stopped', lambda: sky.get(sky.exec(task('x'), cluster_name='one')))
step('tail_logs when stopped', lambda: tailed(job_id=1, follow=False))
step('start', lambda: sky.get(sky.start('one')))
step('down', lambda: sky.get(sky.down('one')))
for name, ask in {
        'queue': lambda: sky.queue('never'),
        'exec': lambda: sky.exec(task('x'), cluster_name='never'),
        'stop': lambda: sky.stop('never'),
        'start': lambda: sky.start('never'),
        'down': lambda: sky.down('never'),
        'autostop': lambda: sky.autostop('never', 5),
        'cancel': lambda: sky.cancel('never', all=True),
        'job_status': lambda: sky.job_status('never', [1]),
}.items():
    step(f'{name} of no cluster', lambda: sky.get(ask()))
step('tail_logs of no cluster', lambda: sky.tail_logs('never', 1, follow=False))
step('get of no request', lambda: sky.get('nothing'))
