export PYTHONPATH=$PWD/src OMP_NUM_THREADS=1
headstart expert --help >/dev/null
python -m headstart.stages.expert nav_mixed > expert.log 2>&1
headstart targets nav_mixed > targets.log 2>&1
