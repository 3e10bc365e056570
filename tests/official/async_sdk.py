"""What people do with `sky.client.sdk_async`, one step after the other."""
import asyncio

import sky
from sky.client import sdk_async
from steps import astep


def task(run, **resources):
    made = sky.Task(run=run)
    made.set_resources(sky.Resources(**(resources or {'cpus': '0.1+'})))
    return made


async def main():
    await astep('launch', sdk_async.launch(task('echo hello'), cluster_name='one'))
    await astep('exec', sdk_async.exec(task('echo again'), cluster_name='one', stream_logs=None))
    await astep('tail_logs', sdk_async.tail_logs('one', 1, True))
    await astep('queue', sdk_async.queue('one'))
    await astep('job_status', sdk_async.job_status('one', [1]))
    await astep('download_logs', sdk_async.download_logs('one', ['1']))
    await astep('status', sdk_async.status(['one']))
    await astep('cancel', sdk_async.cancel('one', all=True))
    await astep('autostop', sdk_async.autostop('one', 30))
    await astep('endpoints', sdk_async.endpoints('one'))
    await astep('cost_report', sdk_async.cost_report())
    await astep('enabled_clouds', sdk_async.enabled_clouds())
    await astep('check', sdk_async.check(None, False))
    await astep('list_accelerators', sdk_async.list_accelerators())
    await astep('storage_ls', sdk_async.storage_ls())
    await astep('workspaces', sdk_async.workspaces())
    await astep('api_status', sdk_async.api_status())
    await astep('api_cancel', sdk_async.api_cancel([]))
    await astep('mismatch', sdk_async.launch(task('x', accelerators='H100:8'), cluster_name='one'))
    await astep('unavailable', sdk_async.launch(task('x', accelerators='H100:8'), cluster_name='two'))
    await astep('bad name', sdk_async.launch(task('x'), cluster_name='1st'))
    await astep('unsupported', sdk_async.status_kubernetes())
    await astep('stop', sdk_async.stop('one'))
    await astep('queue when stopped', sdk_async.queue('one'))
    await astep('start', sdk_async.start('one'))
    await astep('down', sdk_async.down('one'))
    await astep('queue of no cluster', sdk_async.queue('never'))
    await astep('down of no cluster', sdk_async.down('never'))


asyncio.run(main())
